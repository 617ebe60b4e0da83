// No open relay: whatever the lists, networks, hooks and proxies, a recipient that is not ours is taken from those alone of
// whom a word knows that they may. Each config is tried by every way to connect with every spelling of a recipient, against
// an oracle that reads the lists as an operator would.
import access from "@postern/plugin-access";
import {
  connectInProcess,
  definePlugin,
  permit,
  TableUnavailable,
  type Config,
  type PolicyListEntry,
  type SmtpListener,
} from "@postern/core";
import { createTestGateway, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { randomFrom, sample, seed } from "../sampling.ts";
import { talk } from "./client.ts";
import {
  classes,
  connectings,
  entries,
  hookAnswers,
  networks,
  recipients,
  trusted,
  type Connecting,
} from "./open-relay-cases.ts";
import {
  isOurs,
  mayPass,
  settleKind,
  type Asked,
  type Entry,
  type Lists,
  type Recipient,
  type Stage,
} from "./open-relay-oracle.ts";

type Networks = (typeof networks)[number];
type HookAnswer = (typeof hookAnswers)[number];
type OwnClass = "local" | "relay" | "virtualMailbox";

interface World {
  readonly lists: Lists;
  /** In place of the same lists, on the listener "own". */
  readonly ownLists?: Lists;
  readonly networks?: Networks;
  readonly hook?: HookAnswer;
  readonly addressClass?: OwnClass;
  /** How it is said which domains are ours. "down" cannot say. */
  readonly source?: Source;
  readonly delayReject?: boolean;
}

type Source = "list" | "inline" | "late" | "down";
const ourDomains = ["ours.test", "xn--bcher-kva.test"];
const domainSources: Readonly<Record<Source, unknown>> = {
  list: ourDomains,
  inline: { domains: Object.fromEntries(ourDomains.map((domain) => [domain, "x"])) },
  late: ["!victim.test", "late:ours"],
  down: ["nobody.test", "down:ours"],
};

const allStages = ["connect", "helo", "mail", "relay", "rcpt", "data", "message"] as const;
const find = (text: string): Entry => {
  const found = entries.find(({ entry }) => entry === text);
  if (found === undefined) throw new Error(`no entry ${text}`);
  return found;
};
/** Stands when a config has no `relay` list. */
const defaultRelay = ["permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination"].map(find);

/** Words that permit without knowing anything, hooks that answer nonsense, a table that is down; and what is queued. */
function probe(hook: HookAnswer | undefined, queued: (sender: string, addresses: readonly string[]) => void) {
  return definePlugin({
    name: "probe",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      const word = (name: string, judge: () => unknown): void =>
        gateway.restriction({
          name,
          stages: allStages,
          args: z.tuple([]),
          description: "For a test.",
          compile: () => judge as () => undefined,
        });
      word("forges", () => ({ ...permit, authorizes: true, authorized: true }));
      word("forges_late", async () => ({ kind: "permit", authorizes: ["relay", "rcpt"] }));
      word("says_true", () => true);
      word("throws", () => {
        throw new Error("thrown");
      });
      gateway.authenticator({
        name: "probe",
        description: "Knows one user.",
        verify({ identity, password }) {
          if (identity === "broken") throw new Error("broken");
          return identity === "user" && password === "right" ? { kind: "ok", identity } : { kind: "no" };
        },
      });
      gateway.tables.register("down", (name) => ({
        type: "down",
        name,
        kind: "indexed",
        trusted: true,
        close: async () => undefined,
        lookup() {
          throw new TableUnavailable(`down:${name}`, "down");
        },
      }));
      gateway.tables.register("late", (name) => ({
        type: "late",
        name,
        kind: "indexed",
        trusted: true,
        close: async () => undefined,
        lookup: async (key) => (ourDomains.includes(key) ? "x" : undefined),
      }));
      const { answer } = hook ?? {};
      if (answer !== undefined) {
        for (const point of Object.values(gateway.hooks.smtp) as { kind: string; tap(call: unknown): void }[]) {
          if (point.kind === "first") point.tap(answer);
        }
      }
      gateway.hooks.queue.enqueued.tap(({ envelope }) =>
        queued(
          envelope.sender,
          envelope.recipients.map(({ original }) => original),
        ),
      );
    },
  });
}

function written(lists: Lists): Partial<Record<Stage, PolicyListEntry[]>> {
  return Object.fromEntries(Object.entries(lists).map(([stage, list]) => [stage, list.map(({ entry }) => entry)]));
}

function configOf({
  lists,
  ownLists = {},
  networks: own,
  addressClass = "relay",
  source = "list",
  delayReject = true,
}: World): Partial<Config> {
  const listener = {
    host: "127.0.0.1",
    auth: "offered",
    authWithoutTls: true,
    xclient: [...trusted.xclient],
    proxy: [...trusted.proxy],
  };
  return {
    networks: [...(own ?? networks[0])!.list],
    domains: { [addressClass]: domainSources[source] },
    listeners: [
      { ...listener, name: "global", port: 25 },
      { ...listener, name: "own", port: 587, policy: written(ownLists) },
    ],
    policy: { ...written(lists), classes: { friends: [...classes.friends], mine: [...classes.mine] }, delayReject },
    // Every session tries many addresses that are none.
    limits: { errors: 10_000, junkCommands: 10_000 },
  } as Partial<Config>;
}

interface Outcome {
  readonly recipient: Recipient;
  readonly asked: Asked;
  readonly listener: string;
  readonly connecting: Connecting;
  readonly reply: string;
}

function listenerOf({ runtime }: TestGateway, name: string): SmtpListener {
  const found = runtime.listener(name);
  if (found === undefined) throw new Error(`no listener ${name}`);
  return found;
}

/** One session that tries them all, and sends a message to whoever was taken. */
async function tryAll(
  gateway: TestGateway,
  listener: string,
  connecting: Connecting,
  sender: string,
): Promise<string[]> {
  const { from, preface, said = [] } = connecting;
  const client = talk(connectInProcess(listenerOf(gateway, listener), { remoteAddress: from }));
  if (preface !== undefined) client.write(preface);
  await client.reply();
  for (const line of said) await client.say(line);
  await client.say("EHLO client.test");
  await client.say(`MAIL FROM:<${sender}>`);
  const replies: string[] = [];
  for (const { path } of recipients) replies.push(await client.say(`RCPT TO:${path}`));
  if (replies.some((reply) => reply.startsWith("250"))) await client.data();
  client.hangUp();
  return replies;
}

async function explore(world: World, ways: readonly Connecting[] = connectings): Promise<Outcome[]> {
  const queue = new Map<string, readonly string[]>();
  const outcomes: Outcome[] = [];
  const accepted = new Map<string, string[]>();
  const taken = probe(world.hook, (sender, addresses) => void queue.set(sender, addresses));
  const gateway = await createTestGateway(configOf(world), { plugins: [access, [taken, { onError: "skip" }]] });
  try {
    for (const listener of ["global", "own"]) {
      for (const [index, connecting] of ways.entries()) {
        const sender = `${listener}-${index}@source.test`;
        const address = "is" in connecting ? connecting.is : connecting.from;
        const inNetworks = address !== undefined && (world.networks ?? networks[0])!.has(address);
        const replies = await tryAll(gateway, listener, connecting, sender);
        for (const [at, written] of recipients.entries()) {
          const recipient = settleKind(written, world.addressClass ?? "relay");
          const reply = replies[at] ?? "";
          const asked = {
            address,
            inNetworks,
            recipient,
            down: world.source === "down",
            login: connecting.login === true,
          };
          outcomes.push({ recipient, asked, listener, connecting, reply });
          if (reply.startsWith("250")) accepted.set(sender, [...(accepted.get(sender) ?? []), recipient.path]);
        }
      }
    }
  } finally {
    await gateway.close();
  }
  // Nobody is in an envelope whose RCPT was not answered with 250.
  for (const [sender, addresses] of queue) {
    const paths = accepted.get(sender) ?? [];
    for (const address of addresses)
      expect(
        paths.some((path) => path.includes(address)),
        `${sender} to ${address}`,
      ).toBe(true);
  }
  return outcomes;
}

/** What differs from the oracle, in words. */
function disagreements(world: World, outcomes: readonly Outcome[]): string[] {
  const effective = (listener: string): Lists => {
    const lists = { relay: defaultRelay, ...world.lists };
    return listener === "own" ? { ...lists, ...world.ownLists } : lists;
  };
  return outcomes.flatMap(({ recipient, asked, listener, connecting, reply }) => {
    const taken = reply.startsWith("250");
    const dropped = connecting.is === "nobody" || isDroppedOnTheWay(world, effective(listener), connecting);
    const may = !dropped && mayPass(listsFor(world, effective(listener), recipient), asked);
    if (taken === may || (may && recipient.odd === true)) return [];
    const what = taken ? "was taken and may not be" : `was refused and may pass (${reply})`;
    return [`${connecting.name} on ${listener}: ${JSON.stringify(recipient.path)} ${what}`];
  });
}

/** Whoever comes as far as RCPT may write to the postmaster (RFC 5321 §4.5.1): what is asked there is not asked about him. */
function listsFor({ delayReject = true }: World, lists: Lists, { kind }: Recipient): Lists {
  if (kind !== "postmaster") return lists;
  const { connect = [], helo = [], mail = [] } = lists;
  return delayReject ? {} : { connect, helo, mail };
}

function isDroppedOnTheWay(world: World, { connect = [] }: Lists, { was }: Connecting): boolean {
  if (was === undefined || world.delayReject !== false) return false;
  const inNetworks = (world.networks ?? networks[0])!.has(was);
  return !mayPass({ connect }, { address: was, inNetworks, recipient: { path: "<postmaster>", kind: "postmaster" } });
}

const describeWorld = ({ lists, ownLists = {}, networks: own, hook, ...rest }: World): string =>
  JSON.stringify({
    lists: written(lists),
    ownLists: written(ownLists),
    networks: own?.list,
    hook: hook?.name,
    ...rest,
  });

async function check(world: World, ways?: readonly Connecting[]): Promise<void> {
  const outcomes = await explore(world, ways);
  expect(disagreements(world, outcomes), describeWorld(world)).toEqual([]);
}

test("the default: strangers reach us and nobody else, our own clients everybody", async () => {
  const world: World = { lists: {} };
  const outcomes = await explore(world);
  expect(disagreements(world, outcomes)).toEqual([]);
  const takenFrom = (name: string): string[] =>
    outcomes
      .filter(
        ({ connecting, listener, reply }) =>
          connecting.name === name && listener === "global" && reply.startsWith("250"),
      )
      .map(({ recipient }) => recipient.kind);
  // So that the oracle cannot agree with a gateway that takes nothing.
  expect(new Set(takenFrom("a stranger"))).toEqual(new Set(["ours", "postmaster"]));
  expect(new Set(takenFrom("loopback"))).toEqual(new Set(["ours", "postmaster", "foreign", "routing", "bare"]));
  expect(new Set(takenFrom("PROXY 2, listed, a loopback client"))).toContain("foreign");
  expect(takenFrom("PROXY, not listed, before the greeting")).toEqual([]);
});

test.for<Source>(["inline", "late", "down"])("domains from a table: %s", async (source) => {
  await check({ lists: {}, ownLists: { relay: [find("permit_mynetworks")] }, source });
  await check({ lists: { relay: [find("permit")] }, addressClass: "virtualMailbox", source });
});

const strangers = connectings.filter(({ name }) => /stranger|^XCLIENT, not|loopback$|nobody knows/.test(name));

describe("every entry, in every list where it may stand", () => {
  const cases = entries.flatMap((entry) =>
    entry.stages.map((stage) => ({ name: JSON.stringify(entry.entry), entry, stage })),
  );
  test.for(cases)("$name in $stage", async ({ entry, stage }) => {
    // Alone in the global lists, beside an empty `relay` on the other listener.
    await check(
      { lists: { [stage]: [entry] }, ownLists: { relay: stage === "relay" ? [entry, find("permit")] : [] } },
      strangers,
    );
  });
});

describe("every nonsense of a raw hook", () => {
  test.for(hookAnswers)("$name", async (hook) => {
    await check({ lists: { relay: [], rcpt: [find("permit")] }, ownLists: { relay: defaultRelay }, hook });
  });
});

describe(`any lists, networks, classes and hooks (seed ${seed})`, () => {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const someLists = (likely: number): Lists =>
    Object.fromEntries(
      allStages
        .filter(() => random() < likely)
        .map((stage) => {
          const here = entries.filter(({ stages }) => stages.includes(stage));
          return [stage, Array.from({ length: Math.floor(random() * 4) }, () => pick(here))];
        }),
    );
  const worlds = Array.from({ length: sample(60, 3000) }, (_, index): World & { readonly index: number } => ({
    index,
    lists: someLists(0.5),
    ownLists: someLists(0.3),
    networks: pick(networks),
    hook: pick(hookAnswers),
    addressClass: pick(["local", "relay", "virtualMailbox"]),
    source: pick(["list", "list", "inline", "late", "late", "down"]),
    delayReject: random() < 0.8,
  }));
  test.for(worlds)("config $index", async (world) => check(world));

  test("the sample is no empty one: foreign recipients are both taken and refused in it", async () => {
    const said = new Set<boolean>();
    for (const { lists, networks: own } of worlds) {
      for (const inNetworks of [own?.list.length !== 0, false]) {
        const recipient = recipients.find(({ kind }) => kind === "foreign") as Recipient;
        said.add(mayPass({ relay: defaultRelay, ...lists }, { address: "127.0.0.1", inNetworks, recipient }));
      }
    }
    expect(said).toEqual(new Set([true, false]));
    expect(recipients.some(isOurs)).toBe(true);
  });
});
