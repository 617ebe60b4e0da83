// Whatever a plugin does, wherever: what its config declares is what the client sees, one line of the log bears its name,
// other sessions go on, and nothing of it gets past the end of a line. An unhandled rejection fails the run by itself.
import {
  createGuard,
  createHooks,
  definePlugin,
  systemClock,
  type Config,
  type Gateway,
  type PluginDefinition,
} from "@postern/core";
import { createFakeClock, createTestGateway, type FakeClock, type TestGateway } from "@postern/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { talk, type Client } from "./client.ts";
import { misdeeds, tooLate, type Misdeed } from "./misdeeds.ts";
import { until } from "./until.ts";

const stages = ["connect", "helo", "mail", "relay", "rcpt", "data", "message"] as const;
const steps = ["connect", "helo", "auth", "unknown", "mail", "rcpt", "message"] as const;
type Step = (typeof steps)[number];
const policies = ["defer", "reject", "skip"] as const;

const catalogue = createHooks(createGuard(systemClock, () => undefined)).all;

/** The first call after `arm` misbehaves, the others have no opinion. */
class Trigger {
  #next: (() => unknown) | undefined;
  arm({ call }: Misdeed): void {
    this.#next = call;
  }
  get fired(): boolean {
    return this.#next === undefined;
  }
  readonly call = (): never => {
    const call = this.#next;
    this.#next = undefined;
    return call?.() as never;
  };
}

/** Everybody may log in who knows the word; nobody has to. */
const logins = definePlugin({
  name: "logins",
  apiVersion: 1,
  options: z.strictObject({}),
  setup: (gateway) =>
    gateway.authenticator({
      name: "logins",
      description: "Knows one password.",
      verify: ({ identity, password }) => (password === "right" ? { kind: "ok", identity } : { kind: "no" }),
    }),
});
/** A word for the places that need mail which is put aside. */
const quarantining = definePlugin({
  name: "quarantining",
  apiVersion: 1,
  options: z.strictObject({}),
  setup: (gateway) =>
    gateway.restriction({
      name: "put_aside",
      description: "Puts everything aside.",
      stages,
      args: z.tuple([]),
      compile: () => () => ({ kind: "quarantine", text: "asked for" }),
    }),
});
const listeners = [{ name: "test", host: "127.0.0.1", port: 25, auth: "offered", authWithoutTls: true }] as const;

const plugin = (setup: (gateway: Gateway) => void): PluginDefinition =>
  definePlugin({ name: "hostile", apiVersion: 1, options: z.strictObject({}), setup });

interface Heard {
  /** Reply by step, as far as it came. */
  readonly replies: Partial<Record<Step, string>>;
  readonly client: Client;
}

const login = (password: string): string => `AUTH PLAIN ${Buffer.from(`\0user\0${password}`).toString("base64")}`;

/** A whole session with a message; ends at the first refusal. */
async function converse(gateway: TestGateway, afterwards?: Place["afterwards"]): Promise<Heard> {
  const client = talk(gateway.connect());
  const replies: Partial<Record<Step, string>> = {};
  const say: Readonly<Record<Step, () => Promise<string>>> = {
    connect: () => client.reply(),
    helo: () => client.say("EHLO client.test"),
    auth: async () => {
      await client.say(login("wrong"));
      return client.say(login("right"));
    },
    unknown: () => client.say("XYZZY"),
    mail: () => client.say("MAIL FROM:<sender@source.test>"),
    rcpt: () => client.say("RCPT TO:<user@example.test>"),
    message: () => client.data(),
  };
  for (const step of steps) {
    const reply = await say[step]();
    replies[step] = reply;
    if (!reply.startsWith(step === "unknown" ? "500 5.5.1" : "2")) break;
  }
  if (replies.message?.startsWith("250") === true) {
    // A refusal and a transaction that is taken back, for the hooks that are told of them.
    await client.say("MAIL FROM:<sender@source.test>");
    await client.say("RCPT TO:<victim@elsewhere.test>");
    await client.say("RSET");
    const { entries } = await gateway.runtime.quarantine.search({});
    // The other session may have it in hand.
    for (const { id } of entries) await afterwards?.(gateway, id).catch(() => undefined);
  }
  client.hangUp();
  return { replies, client };
}

const whatItSays = {
  defer: /^451 4\.3\.0 [^\n]*$/,
  reject: /^554 5\.3\.0 [^\n]*$/,
  skip: undefined,
  refused: /^550 5\.7\.1 [^\n]{0,500}$/,
} as const;

interface Place {
  readonly name: string;
  /** Where the client hears of it; absent: never. */
  readonly step?: Step;
  /** Answers mean something here. */
  readonly decides: boolean;
  /** What is refused at length in a decision is nonsense here. */
  readonly refusals: boolean;
  readonly config?: Partial<Config>;
  /** What an operator does with what was put aside. */
  readonly afterwards?: (gateway: TestGateway, id: string) => Promise<unknown>;
  readonly setup: (gateway: Gateway, trigger: Trigger) => void;
}

const stepOf: Readonly<Record<string, Step>> = {
  "smtp.connect": "connect",
  "smtp.helo": "helo",
  "smtp.auth": "auth",
  "smtp.mail": "mail",
  "smtp.rcpt": "rcpt",
  "smtp.recipient": "rcpt",
  "smtp.unknown": "unknown",
};

const quarantinePlaces: Readonly<Record<string, Pick<Place, "config" | "afterwards">>> = {
  "quarantine.added": {},
  "quarantine.released": { afterwards: ({ runtime }, id) => runtime.quarantine.release(id) },
  "quarantine.deleted": { afterwards: ({ runtime }, id) => runtime.quarantine.delete(id) },
};

/** `smtp.tls` needs a TLS session: it has a story of its own. The route is the client's business no more. */
const hookPlaces = catalogue
  .filter(({ name }) => name !== "smtp.tls")
  .map(({ name, kind }): Place => {
    // A recipient that is refused stays refused.
    const decides = kind !== "report" && name !== "smtp.recipientRefused";
    const setup = ({ hooks }: Gateway, trigger: Trigger): void => {
      const [group = "", point = ""] = name.split(".");
      const points = hooks as unknown as Record<string, Record<string, { tap(call: unknown): void }>>;
      points[group]?.[point]?.tap(trigger.call);
    };
    // The tarpit's answers are no replies: what fails waits for nothing.
    const isTarpit = name === "smtp.tarpit";
    const heard = decides && name.startsWith("smtp.") && !isTarpit;
    return {
      name,
      decides,
      refusals: decides && kind === "first" && !isTarpit,
      setup,
      ...(heard ? { step: stepOf[name] ?? "message" } : {}),
      ...(name in quarantinePlaces && { config: { policy: { message: ["put_aside"] } }, ...quarantinePlaces[name] }),
    };
  });

const wordPlaces = stages.map((stage): Place => ({
  name: `a word in ${stage}`,
  step: stage === "data" || stage === "message" ? "message" : "rcpt",
  decides: true,
  refusals: true,
  config: { policy: { [stage]: ["hostile_word"] } },
  setup: (gateway, trigger) =>
    gateway.restriction({
      name: "hostile_word",
      description: "Misbehaves.",
      stages,
      args: z.tuple([]),
      compile: () => trigger.call,
    }),
}));

const scannerPlace: Place = {
  name: "a scanner",
  step: "message",
  decides: true,
  refusals: true,
  setup: (gateway, trigger) => gateway.scanner({ name: "hostile", description: "Misbehaves.", scan: trigger.call }),
};

/** Those that a session cannot reach at will are fired by the gateway's own life, tried below. */
const reachable = hookPlaces.filter(
  ({ name }) => !["lifecycle.ready", "lifecycle.closing", "queue.deferred", "queue.bounced"].includes(name),
);

describe.each(policies)("onError %s", (onError) => {
  describe.each([...reachable, ...wordPlaces, scannerPlace])("$name", (place) => {
    let clock: FakeClock;
    let gateway: TestGateway;
    let trigger: Trigger;
    beforeAll(async () => {
      clock = createFakeClock();
      trigger = new Trigger();
      const domains = { relay: { domains: ["example.test"], recipients: { "user@example.test": "listed" } } };
      const hostile = plugin((given) => place.setup(given, trigger));
      gateway = await createTestGateway(
        { domains, listeners: [...listeners], ...place.config, limits: { sessionsPerClient: 0 } },
        { clock, plugins: [logins, quarantining, [hostile, { onError, deadline: "5s" }]] },
      );
    });
    afterAll(() => gateway.close());

    test.each(misdeeds)("$name", async (misdeed) => {
      await clock.run(61_000);
      const before = gateway.log.length;
      trigger.arm(misdeed);
      let ended = false;
      const session = converse(gateway, place.afterwards).finally(() => (ended = true));
      await until(() => trigger.fired);
      // While it misbehaves somebody else is served.
      const other = await converse(gateway, place.afterwards);
      expect(other.replies.message).toMatch(/^250 2\.0\.0 /);
      for (let turns = 0; turns < 20 && !ended; turns += 1) await clock.run(1_000);
      await clock.run(6_000);
      tooLate.answer({ kind: "reject", reply: { code: 550, enhanced: "5.7.1", text: "too late" } });
      const { replies, client } = await session;
      await clock.run(6_000);

      const counts = misdeed.is === "refused" && !place.refusals ? (place.decides ? "invalid" : "silent") : misdeed.is;
      const fails = counts === "error" || counts === "timeout" || (counts === "invalid" && place.decides);
      const said = fails ? whatItSays[onError] : counts === "refused" ? whatItSays.refused : undefined;
      if (place.step === undefined || said === undefined) expect(replies.message).toMatch(/^250 2\.0\.0 /);
      else expect(replies[place.step]).toMatch(said);

      expect(gateway.log.slice(before).filter((line) => /[\r\n\0]/.test(line) || line.length > 2_000)).toEqual([]);
      const lines = gateway.log.slice(before).filter((line) => line.includes("plugin hostile: "));
      expect(lines.length, lines.join("\n")).toBe(fails ? 1 : 0);
      // An answer that throws when it is looked at is as well an error.
      if (fails) expect(lines[0]).toMatch(counts === "invalid" ? /failed \((?:invalid|error)\)/ : `failed (${counts})`);
      expect(client.heard).toMatch(/^(?:\d{3}[ -][^\r\n]{0,508}\r\n)*$/);
      expect(client.heard).not.toMatch(/shadow|thrown|touched|too late/);
    });
  });
});
