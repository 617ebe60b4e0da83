// Each hook of the catalogue is fired by a real session, delivery or lookup, or by the gateway's life. The list is the
// catalogue's own: a hook that is declared and never fired fails here, and so does one with other arguments than it declares.
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  bounced,
  createMemoryStateStore,
  createMemoryStore,
  createRuntime,
  createStaticResolver,
  deferred,
  definePlugin,
  delivered,
  listHooks,
  resolveConfig,
  systemClock,
  type Runtime,
} from "@postern/core";
import { instantiate } from "@postern/testkit";
import { expect, it } from "vitest";
import { z } from "zod";
import { makeCertificate } from "../services/certificate.ts";
import { describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { talk } from "./client.ts";
import { until } from "./until.ts";

interface Fired {
  readonly name: string;
  readonly args: number;
}

/** Taps everything there is. */
const observer = (fired: Fired[]) =>
  definePlugin({
    name: "observer",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      for (const group of Object.values(gateway.hooks)) {
        for (const point of Object.values(group) as { name: string; tap(call: (...args: unknown[]) => void): void }[]) {
          point.tap((...args) => void fired.push({ name: point.name, args: args.length }));
        }
      }
    },
  });

/** `late@` is deferred, `gone@` bounces, everybody else is delivered to. */
const transport = definePlugin({
  name: "outcomes",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.transport({
      name: "smtp",
      description: "Answers by local part.",
      async deliver({ recipients }, { settle }) {
        for (const recipient of recipients) {
          const [localPart] = recipient.address.split("@");
          settle(
            recipient,
            localPart === "late" ? deferred("later") : localPart === "gone" ? bounced("gone") : delivered("taken"),
          );
        }
        return { destination: "alive" };
      },
      close: async () => undefined,
    });
  },
});

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Knows one password for everybody. */
const authenticator = definePlugin({
  name: "passwords",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.authenticator({
      name: "passwords",
      description: "One password for everybody.",
      verify: ({ identity, password }) => (password === "right" ? { kind: "ok", identity } : { kind: "no" }),
    });
  },
});

/** What comes for `aside@`. */
const quarantining = definePlugin({
  name: "quarantining",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.restriction({
      name: "aside",
      description: "Puts mail for aside@ aside.",
      stages: ["rcpt"],
      args: z.tuple([]),
      compile:
        () =>
        ({ recipient }) =>
          recipient?.address.startsWith("aside@") === true ? { kind: "quarantine", text: "asked for" } : undefined,
    });
  },
});

/** One session over TLS: a wrong password and the right one, a refused recipient, a message that bounces for one of two, one that waits, two put aside, one taken back, and QUIT. */
async function converse({ listeners }: Runtime): Promise<void> {
  const plain = connectTcp(listeners[0]?.port ?? 0, "127.0.0.1");
  const before = talk(plain);
  expect(await before.reply()).toMatch(/^220 /);
  expect(await before.say("EHLO client.test")).toMatch(/STARTTLS/);
  expect(await before.say("STARTTLS")).toMatch(/^220 /);
  plain.removeAllListeners("data");
  const secure = connectTls({ socket: plain, rejectUnauthorized: false });
  await once(secure, "secureConnect");
  const client = talk(secure);
  expect(await client.say("EHLO client.test")).toMatch(/^250/);
  expect(await client.say(`AUTH PLAIN ${base64("\0user\0wrong")}`)).toMatch(/^535/);
  expect(await client.say(`AUTH PLAIN ${base64("\0user\0right")}`)).toMatch(/^235/);
  expect(await client.say("HELP")).toMatch(/^502/);
  expect(await client.say("MAIL FROM:<sender@source.test>")).toMatch(/^250/);
  expect(await client.say("RCPT TO:<victim@elsewhere.test>")).toMatch(/^554/);
  expect(await client.say("RCPT TO:<one@example.test>")).toMatch(/^250/);
  expect(await client.say("RCPT TO:<gone@example.test>")).toMatch(/^250/);
  expect(await client.data()).toMatch(/^250/);
  expect(await client.say("MAIL FROM:<sender@source.test>")).toMatch(/^250/);
  expect(await client.say("RCPT TO:<late@example.test>")).toMatch(/^250/);
  expect(await client.data()).toMatch(/^250/);
  for (const _time of [1, 2]) {
    expect(await client.say("MAIL FROM:<sender@source.test>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<aside@example.test>")).toMatch(/^250/);
    expect(await client.data()).toMatch(/^250/);
  }
  expect(await client.say("MAIL FROM:<sender@source.test>")).toMatch(/^250/);
  expect(await client.say("RSET")).toMatch(/^250/);
  expect(await client.say("QUIT")).toMatch(/^221/);
  await client.over();
}

describeWith(["openssl"], "hooks", () => {
  it("each one of the catalogue is fired, with the arguments that it declares", async () => {
    using folder = temporaryFolder();
    const { key, cert } = makeCertificate(folder.path, ["mx.example.test"]);
    const fired: Fired[] = [];
    const config = resolveConfig(
      {
        hostname: "mx.example.test",
        networks: [],
        domains: { relay: { domains: ["example.test"], recipients: { "@example.test": "everybody" } } },
        listeners: [{ host: "127.0.0.1", port: 0, auth: "offered" }],
        // Who is logged in may still not relay.
        policy: { relay: [], rcpt: ["aside"] },
        queue: { directory: folder.path },
        tls: { key, cert },
      },
      { file: `${folder.path}/postern.config.json` },
    );
    const runtime = await createRuntime(config, {
      instances: [
        await instantiate(observer(fired)),
        await instantiate(transport),
        await instantiate(authenticator),
        await instantiate(quarantining),
      ],
      queueStore: createMemoryStore(),
      quarantineStore: createMemoryStore(),
      stateStore: createMemoryStateStore({ clock: systemClock }),
      resolver: createStaticResolver({}),
      lookUpClients: false,
      control: false,
    });
    const catalogue = listHooks(runtime.generation.hooks);
    try {
      await converse(runtime);
      const [one, other] = (await runtime.quarantine.search({})).entries;
      await runtime.quarantine.release(one?.id ?? "");
      await runtime.quarantine.delete(other?.id ?? "");
      await until(() => fired.some(({ name }) => name === "queue.removed"));
    } finally {
      await runtime.close("the test is over");
    }
    const names = new Set(fired.map(({ name }) => name));
    expect(catalogue.filter(({ name }) => !names.has(name)).map(({ name }) => name)).toEqual([]);
    expect(catalogue.filter(({ taps }) => taps.length !== 1)).toEqual([]);
    for (const { name, args } of catalogue) {
      const passed = new Set(fired.filter((one) => one.name === name).map((one) => one.args));
      expect([...passed], name).toEqual([args.length]);
    }
  });
});
