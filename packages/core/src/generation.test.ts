// Generations under open sessions: the old one lives until its last session and delivery are done, and not a moment longer.
import { createTestGateway, instantiate, smtp, type TestGateway } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { resolveConfig, type Config } from "./config/index.ts";
import { deferred, delivered, permit, reject } from "./model/index.ts";
import { definePlugin, type Gateway, type PluginDefinition } from "./plugin/index.ts";

const stages = ["relay", "rcpt", "data"] as const;

/** A plugin of one generation: its word, its taps and its state say which one they are of. */
function versioned(
  version: string,
  diary: string[],
  more: (gateway: Gateway) => void = () => undefined,
): PluginDefinition {
  return definePlugin({
    name: "versioned",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      const count = gateway.sessionState(() => ({ mails: 0 }));
      gateway.hooks.smtp.mail.tap((_sender, _envelope, session) => {
        count(session).mails += 1;
        return undefined;
      });
      gateway.hooks.smtp.closed.tap(
        (session) => void diary.push(`${version}: closed after ${count(session).mails} mails`),
      );
      gateway.restriction({
        name: "which",
        stages,
        args: z.tuple([]),
        description: "Says its generation in a refusal of `ask@…`.",
        compile: () => (ask) =>
          ask.recipient?.address.startsWith("ask@") === true
            ? reject(`generation ${version}, mail ${count(ask.session).mails}`)
            : undefined,
      });
      gateway.tables.register("diary", (name) => ({
        type: "diary",
        name,
        kind: "indexed",
        trusted: true,
        lookup: () => undefined,
        close: async () => void diary.push(`${version}: table closed`),
      }));
      gateway.tables.use("diary:x");
      gateway.onClose(() => void diary.push(`${version}: first closed`));
      gateway.onClose(() => void diary.push(`${version}: second closed`));
      more(gateway);
    },
  });
}

/** Comes after the other, so it is closed before it. */
const later = (version: string, diary: string[]): PluginDefinition =>
  definePlugin({
    name: "later",
    apiVersion: 1,
    options: z.strictObject({}),
    setup: (gateway) => gateway.onClose(() => void diary.push(`${version}: later closed`)),
  });

const policy = { rcpt: ["which"] };
const config: Partial<Config> = { domains: { relay: ["example.test"] }, policy };

async function start(diary: string[], more?: (gateway: Gateway) => void): Promise<TestGateway> {
  return createTestGateway(config, {
    plugins: [versioned("old", diary, more), later("old", diary)],
    memoryTransports: true,
  });
}

/** The config as it was written, with changes, and other plugins in place of all. */
async function reload(
  gateway: TestGateway,
  changes: Partial<Config>,
  plugins: readonly PluginDefinition[],
): Promise<void> {
  const { file, queue } = gateway.runtime.generation.config;
  const listeners = [{ name: "test", host: "127.0.0.1", port: 25 }];
  const written = {
    hostname: "mx.example.test",
    listeners,
    queue: { directory: queue.directory },
    ...config,
    ...changes,
  };
  const kept = gateway.runtime.generation.listing.plugins.filter(({ name }) => name === "memory-transport");
  const instances = [...(await Promise.all(plugins.map((plugin) => instantiate(plugin)))), ...kept];
  await gateway.runtime.reload(resolveConfig(written, { file }), instances);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a reload under an open session", () => {
  test("the session keeps its policy, hooks and state to its end; new ones get the new generation", async () => {
    const diary: string[] = [];
    await using gateway = await start(diary);
    const old = smtp(gateway);
    await old.say("MAIL FROM:<a@source.test>").expect(/^250 /).say("RCPT TO:<one@example.test>").expect(/^250 /);

    await reload(gateway, { hostname: "new.example.test" }, [versioned("new", diary), later("new", diary)]);
    const fresh = smtp(gateway, { bare: true });
    await fresh
      .expect(/^220 new\.example\.test /)
      .say("EHLO x.test")
      .expect(/^250/);
    await fresh
      .say("MAIL FROM:<b@source.test>")
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation new, mail 1$/);

    // In the middle of its transaction, and in the next one.
    await old.say("RCPT TO:<ask@example.test>").expect(/generation old, mail 1$/);
    await old.data("Subject: kept\n\nkept\n").expect(/^250 2\.0\.0 /);
    await old.say("EHLO x.test").expect(/^250[- ]mx\.example\.test/);
    await old
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation old, mail 2$/);
    expect(diary).toEqual([]);

    await old.say("QUIT").expect(/^221 /).closed();
    await gateway.delivered(0);
    await turn();
    await turn();
    expect(diary).toEqual([
      "old: closed after 2 mails",
      "old: later closed",
      "old: second closed",
      "old: first closed",
      "old: table closed",
    ]);
    diary.length = 0;
    await fresh
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation new, mail 1$/)
      .hangUp();
    await gateway.close();
    expect(diary).toEqual([
      "new: closed after 1 mails",
      "new: later closed",
      "new: second closed",
      "new: first closed",
      "new: table closed",
    ]);
  });

  test("a delivery under way holds its generation when no session does any more", async () => {
    const diary: string[] = [];
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = (gateway: Gateway): void =>
      gateway.transport({
        name: "smtp",
        description: "Waits.",
        async deliver({ recipients }, { settle }) {
          begun.resolve();
          await gate.promise;
          for (const recipient of recipients) settle(recipient, delivered("at last"));
          return { destination: "alive" };
        },
        close: async () => void diary.push("old: transport closed"),
      });
    const plugins = [versioned("old", diary, slow), later("old", diary)];
    await using gateway = await createTestGateway(config, { plugins, memoryTransports: false });
    const dialogue = smtp(gateway).say("MAIL FROM:<a@source.test>").say("RCPT TO:<one@example.test>");
    await dialogue.data("Subject: slow\n\nslow\n").expect(/^250 /).say("QUIT").closed();
    await begun.promise;
    await reload(gateway, {}, [versioned("new", diary, slow)]);
    await turn();
    expect(diary).toEqual(["old: closed after 1 mails"]);
    gate.resolve();
    while (!diary.includes("old: table closed")) await turn();
    expect(diary).toEqual([
      "old: closed after 1 mails",
      "old: later closed",
      "old: second closed",
      "old: first closed",
      "old: transport closed",
      "old: table closed",
    ]);
    expect(gateway.runtime.status().queue.messages).toBe(0);
  });

  test("what waits in the queue goes by the new routes", async () => {
    const diary: string[] = [];
    const hops: string[] = [];
    const transport = (answer: typeof delivered | typeof deferred) => (gateway: Gateway) =>
      gateway.transport({
        name: "smtp",
        description: "Notes where mail goes.",
        async deliver({ recipients, route }, { settle }) {
          hops.push(route.nextHop);
          for (const recipient of recipients) settle(recipient, answer("said"));
          return { destination: "alive" };
        },
        close: async () => undefined,
      });
    const before = { ...config, relayhost: "[192.0.2.1]:2525" };
    const plugins = [versioned("old", diary, transport(deferred))];
    await using gateway = await createTestGateway(before, { plugins, memoryTransports: false });
    const dialogue = smtp(gateway).say("MAIL FROM:<a@source.test>").say("RCPT TO:<one@example.test>");
    await dialogue.data("Subject: x\n\nx\n").expect(/^250 /).hangUp();
    while (hops.length < 1) await turn();
    await reload(gateway, { relayhost: "[192.0.2.2]:2525" }, [versioned("new", diary, transport(delivered))]);
    gateway.runtime.flush();
    while (gateway.runtime.status().queue.messages > 0) await turn();
    expect(hops).toEqual(["[192.0.2.1]:2525", "[192.0.2.2]:2525"]);
  });

  test("reloads asked for at once: the last one stands, all the others are closed", async () => {
    const diary: string[] = [];
    await using gateway = await start(diary);
    const versions = ["a", "b", "c"];
    await Promise.all(versions.map((version) => reload(gateway, {}, [versioned(version, diary)])));
    await smtp(gateway)
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation c,/)
      .hangUp();
    await turn();
    for (const version of ["old", "a", "b"]) expect(diary).toContain(`${version}: table closed`);
    expect(diary).not.toContain("c: table closed");
  });

  test("a gateway that is being closed takes no new generation, and what was built for it is closed", async () => {
    const diary: string[] = [];
    const gateway = await start(diary);
    const asked = Promise.withResolvers<void>();
    const ready = Promise.withResolvers<void>();
    const slow = (plugin: Gateway): void =>
      plugin.onReady(() => {
        asked.resolve();
        return ready.promise;
      });
    const failed = reload(gateway, {}, [versioned("new", diary, slow)]).catch((error: unknown) => error);
    await asked.promise;
    const closed = gateway.close();
    ready.resolve();
    expect(await failed).toMatchObject({ message: "the gateway is being stopped" });
    await closed;
    expect(diary.filter((line) => line.endsWith("table closed")).toSorted()).toEqual([
      "new: table closed",
      "old: table closed",
    ]);
  });
});

describe("a generation that cannot be built changes nothing, and what it began is closed", () => {
  const cases: [what: string, changes: Partial<Config>, more: (gateway: Gateway) => void, message: RegExp][] = [
    [
      "a word that nobody knows",
      { policy: { rcpt: ["whihc"] } },
      () => undefined,
      /unknown word "whihc"; did you mean "which"\?/,
    ],
    [
      "a key that outlives generations",
      { delivery: { total: 3 } },
      () => undefined,
      /"delivery" has changed and needs a restart/,
    ],
    [
      "a list of recipients that is not there",
      { domains: { relay: { domains: ["x.test"], recipients: "texthash:./none" } } },
      () => undefined,
      /domains\.relay\.recipients.*none/,
    ],
    [
      "setup throws",
      {},
      () => {
        throw new Error("no setup");
      },
      /versioned.*no setup/,
    ],
    [
      "ready rejects",
      {},
      (gateway) => gateway.onReady(() => Promise.reject(new Error("not ready"))),
      /versioned.*not ready/,
    ],
    ["a table that does not open", {}, (gateway) => void gateway.tables.use("texthash:./nowhere"), /nowhere/],
  ];
  test.each(cases)("%s", async (_, changes, more, message) => {
    const diary: string[] = [];
    await using gateway = await start(diary);
    const { generation } = gateway.runtime;
    const open = smtp(gateway);
    await open;
    await expect(reload(gateway, changes, [versioned("new", diary, more)])).rejects.toThrow(message);
    expect(gateway.runtime.generation).toBe(generation);
    // What the failed one had opened is closed, and nothing of the one that stands.
    expect(diary.filter((line) => line.startsWith("old"))).toEqual([]);
    await open
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation old/)
      .hangUp();
    await smtp(gateway)
      .say("MAIL FROM:<a@source.test>")
      .say("RCPT TO:<ask@example.test>")
      .expect(/generation old/)
      .hangUp();
  });
});

test("XCLIENT begins another session: plugins' state begins anew and is kept, and both ends are told with their own", async () => {
  const diary: string[] = [];
  const listeners = [{ name: "test", host: "127.0.0.1", port: 25, xclient: ["192.0.2.1"] }];
  const gateway = await createTestGateway({ ...config, listeners }, { plugins: [versioned("x", diary)] });
  const dialogue = smtp(gateway);
  const transaction = async (mails: number): Promise<void> => {
    await dialogue.say("MAIL FROM:<a@source.test>").say("RCPT TO:<ask@example.test>");
    await dialogue.expect(new RegExp(`mail ${mails}$`)).say("RSET");
  };
  await transaction(1);
  await dialogue.say("XCLIENT ADDR=198.51.100.1").expect(/^220 /).say("EHLO y.test");
  await transaction(1);
  await transaction(2);
  await transaction(3);
  await dialogue.say("QUIT").closed();
  await gateway.close();
  expect(diary.slice(0, 2)).toEqual(["x: closed after 1 mails", "x: closed after 3 mails"]);
});

test("a permit of an old generation is no permit of the new one", async () => {
  const word = (answer: typeof permit | undefined): PluginDefinition =>
    definePlugin({
      name: "knows",
      apiVersion: 1,
      options: z.strictObject({}),
      setup: (gateway) =>
        gateway.restriction({
          name: "knows",
          stages,
          args: z.tuple([]),
          description: "May relay.",
          authorizes: true,
          compile: () => () => answer,
        }),
    });
  const lists = { policy: { relay: ["knows"] } };
  await using gateway = await createTestGateway(lists, { plugins: [word(permit)] });
  const old = smtp(gateway).say("MAIL FROM:<a@source.test>").say("RCPT TO:<x@elsewhere.test>");
  await old.expect(/^250 /);
  await reload(gateway, lists, [word(undefined)]);
  await smtp(gateway)
    .say("MAIL FROM:<a@source.test>")
    .say("RCPT TO:<x@elsewhere.test>")
    .expect(/^554 5\.7\.1 /)
    .hangUp();
  await old.hangUp();
});
