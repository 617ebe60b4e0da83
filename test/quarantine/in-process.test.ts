// Quarantine in a gateway in memory: each recipient's own fate, a store that fails, expiry, reloads, and what tests of plugins see of it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  connectInProcess,
  createMemoryStateStore,
  createMemoryStore,
  createRuntime,
  createStaticResolver,
  definePlugin,
  delivered,
  type ErrorCode,
  type Gateway,
  type PluginDefinition,
  PosternError,
  type QueueStore,
  type RecipientAnswer,
  reply,
  resolveConfig,
  systemClock,
} from "@postern/core";
import { changedStore, createFakeClock, createTestGateway, instantiate } from "@postern/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { talk, type Client } from "../e2e/client.ts";
import { until } from "../e2e/until.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-quarantine-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** By local part: `bad` is refused, `aside` is put aside. */
const answers: Readonly<Record<string, RecipientAnswer>> = {
  bad: { kind: "reject", reply: reply(550, "5.7.1", "bad for you") },
  aside: { kind: "quarantine", text: "suspicious" },
  wordy: { kind: "quarantine", text: "so suspicious ".repeat(50) },
};

const scanner = definePlugin({
  name: "fates",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    gateway.scanner({
      name: "fates",
      description: "Each its own.",
      onError: "defer",
      scan: ({ transaction }) => ({
        kind: "perRecipient",
        answers: transaction.recipients.map(({ address }) => answers[address.split("@")[0] ?? ""]),
      }),
    });
  },
});

const config = {
  domains: { relay: { domains: ["example.test"], recipients: { "@example.test": "everybody" } } },
  policy: { mixed: "quarantine" },
} as const;

async function send(client: Client, ...to: readonly string[]): Promise<string> {
  await client.say("MAIL FROM:<sender@source.test>");
  for (const one of to) await client.say(`RCPT TO:<${one}@example.test>`);
  return client.data(
    "Subject: test\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@source.test>\r\n\r\ntest\r\n",
  );
}

async function greeted(client: Client): Promise<Client> {
  await client.reply();
  await client.say("EHLO client.test");
  return client;
}

describe("each recipient's own fate", () => {
  it.each<[readonly string[], readonly string[], readonly string[], RegExp]>([
    [["good", "aside"], ["good"], ["aside"], /suspicious/],
    [["good", "bad"], ["good"], ["bad"], /./],
    [["good", "wordy"], ["good"], ["wordy"], /so suspicious/],
    [["good", "aside", "bad", "other"], ["good", "other"], ["aside", "bad"], /suspicious/],
    [["aside"], [], ["aside"], /^suspicious$/],
    [["aside", "bad"], [], ["aside", "bad"], /suspicious/],
  ])("%j: delivered to %j, put aside for %j", async (to, good, aside, reason) => {
    await using gateway = await createTestGateway(config, { plugins: [scanner] });
    const client = await greeted(talk(gateway.connect()));
    const [, id = ""] = /^250 2\.0\.0 Ok: queued as (\S+)$/.exec(await send(client, ...to)) ?? [];
    const names = (addresses: readonly string[] = []) => addresses.map((address) => address.split("@")[0]);
    if (good.length > 0) await gateway.delivered(1);
    expect(names(gateway.deliveries[0]?.recipients)).toEqual(good);
    const [put, ...others] = gateway.quarantined;
    expect([names(put?.recipients), others]).toEqual([aside, []]);
    expect(put?.reason).toMatch(reason);
    // The id that the client was told is found beside it.
    expect(put?.id === id || put?.reason.includes(id)).toBe(true);
    expect(gateway.log.filter((line) => line.includes(`${put?.id}: quarantine: `))).toHaveLength(1);
    await gateway.runtime.quarantine.release(put?.id ?? "");
    await gateway.delivered(good.length > 0 ? 2 : 1);
    expect(names(gateway.deliveries.at(-1)?.recipients)).toEqual(aside);
    expect(gateway.deliveries.at(-1)?.content.equals(put?.content ?? Buffer.alloc(0))).toBe(true);
    expect(gateway.runtime.status()).toMatchObject({ quarantine: { messages: 0, added: 1, released: 1 } });
  });
});

describe("for whom it was refused", () => {
  const again: readonly PluginDefinition[] = [
    lastWord("added", (gateway) =>
      gateway.hooks.smtp.modify.tap(() => [{ kind: "addRecipient", address: "bad@example.test" }]),
    ),
    lastWord("copied", (gateway) =>
      gateway.scanner({
        name: "copied",
        description: "A copy for each.",
        onError: "defer",
        scan: () => ["bad@example.test", "archive@example.test"].map((address) => ({ kind: "bcc", address }) as const),
      }),
    ),
  ];
  it.each(["quarantine", "discard"])("he is not added once more (%s)", async (mixed) => {
    await using gateway = await createTestGateway({ ...config, policy: { mixed } } as never, {
      plugins: [scanner, ...again],
    });
    const client = await greeted(talk(gateway.connect()));
    expect(await send(client, "good", "bad")).toMatch(/^250 /);
    await gateway.delivered(1);
    expect(gateway.deliveries.flatMap(({ recipients }) => recipients)).toEqual([
      "good@example.test",
      "archive@example.test",
    ]);
    expect(gateway.quarantined.map(({ recipients }) => recipients)).toEqual(
      mixed === "quarantine" ? [["bad@example.test"]] : [],
    );
  });
});

/** What stands behind the scanners, after others' part was put aside. */
function lastWord(name: string, setup: (gateway: Gateway) => void): PluginDefinition {
  return definePlugin({ name, apiVersion: 1, options: z.strictObject({}), setup });
}

describe("put aside for some, and then not taken for the others", () => {
  it.each<[string, PluginDefinition, RegExp]>([
    [
      "a handover refuses it",
      lastWord("filter", (gateway) =>
        gateway.handover({
          name: "filter",
          description: "Refuses.",
          take: async () => ({ kind: "reject", reply: reply(550, "5.7.1", "spam") }),
        }),
      ),
      /^550 5\.7\.1 spam/,
    ],
    [
      "a handover fails",
      lastWord("filter", (gateway) =>
        gateway.handover({ name: "filter", description: "Fails.", take: () => Promise.reject(new Error("gone")) }),
      ),
      /^451 /,
    ],
    [
      "nobody is left",
      lastWord("edits", (gateway) =>
        gateway.hooks.smtp.modify.tap(() => [{ kind: "removeRecipient", address: "good@example.test" }]),
      ),
      /^554 5\.5\.1 /,
    ],
  ])("%s: nobody has it, and the log says so", async (_, plugin, expected) => {
    await using gateway = await createTestGateway(config, { plugins: [scanner, plugin] });
    const { quarantine } = gateway.runtime;
    const client = await greeted(talk(gateway.connect()));
    expect(await send(client, "good", "aside")).toMatch(expected);
    await client.say("QUIT");
    await until(() => quarantine.status().messages === 0);
    expect(quarantine.status()).toMatchObject({ added: 1, deleted: 1, sizeBytes: 0 });
    expect(gateway.log).toContain(`info ${gateway.quarantined[0]?.id}: quarantine: deleted, not taken for the others`);
    expect([gateway.deliveries, gateway.runtime.status().queue.messages]).toEqual([[], 0]);
  });
});

describe("one of the two stores fails", () => {
  it.each<["quarantine" | "queue", ErrorCode, RegExp]>([
    ["quarantine", "STORE_FULL", /^452 4\.3\.1 /],
    ["quarantine", "STORE_UNAVAILABLE", /^451 4\.3\.0 /],
    ["queue", "STORE_FULL", /^452 4\.3\.1 /],
    ["queue", "STORE_UNAVAILABLE", /^451 4\.3\.0 /],
  ])("%s, %s: nobody has it, and it is taken when it works again", async (which, code, expected) => {
    let failing = true;
    const failingStore = (name: typeof which, store = createMemoryStore()): QueueStore =>
      changedStore(store, {
        hasRoom: () => true,
        commit: (...args) =>
          failing && name === which ? Promise.reject(new PosternError(code, `/var/${name}`)) : store.commit(...args),
      });
    let deliveries = 0;
    const transport = definePlugin({
      name: "counting",
      apiVersion: 1,
      options: z.strictObject({}),
      setup(gateway) {
        gateway.transport({
          name: "smtp",
          description: "Counts.",
          async deliver({ recipients }, { settle }) {
            deliveries += recipients.length;
            for (const recipient of recipients) settle(recipient, delivered("counted"));
            return { destination: "alive" };
          },
          close: async () => undefined,
        });
      },
    });
    const written = { ...config, hostname: "mx.example.test", listeners: [{ host: "127.0.0.1", port: 0 }] };
    const runtime = await createRuntime(
      resolveConfig({ ...written, queue: { directory: join(folder, "queue") } }, { file: join(folder, "c.json") }),
      {
        instances: [await instantiate(scanner), await instantiate(transport)],
        queueStore: failingStore("queue"),
        quarantineStore: failingStore("quarantine"),
        stateStore: createMemoryStateStore({ clock: systemClock }),
        spoolDirectory: folder,
        resolver: createStaticResolver({}),
        lookUpClients: false,
        control: false,
        listen: false,
      },
    );
    try {
      const [listener] = runtime.generation.config.listeners;
      const found = runtime.listener(listener?.name ?? "");
      if (found === undefined) throw new Error("no listener");
      const client = await greeted(talk(connectInProcess(found)));
      const refused = await send(client, "good", "aside");
      expect(refused).toMatch(expected);
      expect(refused).not.toMatch(/var|quarantine/);
      const other = which === "quarantine" ? "aside" : "good";
      expect(await send(client, other)).toMatch(expected);
      await until(() => runtime.quarantine.status().messages === 0);
      expect([runtime.status().queue.messages, deliveries]).toEqual([0, 0]);
      failing = false;
      expect(await send(client, "good", "aside")).toMatch(/^250 /);
      expect(runtime.quarantine.status()).toMatchObject({ messages: 1 });
    } finally {
      await runtime.close("the test is over", 0);
    }
    expect(deliveries).toBe(1);
  });
});

describe("over time", () => {
  it("what has expired is gone, and the log says so", async () => {
    const clock = createFakeClock();
    const quarantine = { lifetime: "7d" };
    await using gateway = await createTestGateway({ ...config, quarantine }, { plugins: [scanner], clock });
    const client = await greeted(talk(gateway.connect()));
    expect(await send(client, "aside")).toMatch(/^250/);
    await clock.run(7 * 24 * 3_600_000 - 1000);
    expect(gateway.runtime.quarantine.status().messages).toBe(1);
    await clock.run(3_600_000);
    expect(gateway.runtime.quarantine.status()).toMatchObject({ messages: 0, expired: 1, sizeBytes: 0 });
    expect(gateway.log).toContain(`info ${gateway.quarantined[0]?.id}: quarantine: expired and deleted`);
    expect(gateway.deliveries).toEqual([]);
  });

  it("a reload keeps it; what it is cannot be changed without a restart", async () => {
    await using gateway = await createTestGateway(config, { plugins: [scanner] });
    const client = await greeted(talk(gateway.connect()));
    await send(client, "aside");
    const { runtime } = gateway;
    const { config: now, listing, number } = runtime.generation;
    await runtime.reload(now, listing.plugins);
    expect(runtime.generation.number).toBeGreaterThan(number);
    await runtime.quarantine.release(gateway.quarantined[0]?.id ?? "");
    await gateway.delivered(1);
    const other = { ...now, quarantine: { ...now.quarantine, lifetimeMs: 1 } };
    await expect(runtime.reload(other, listing.plugins)).rejects.toThrow(
      '"quarantine" has changed and needs a restart',
    );
  });
});
