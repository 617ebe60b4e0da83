// Starts that fail: one sentence, and nothing is left listening, locked or open, so that the next start can be at once.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instantiate } from "@postern/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { resolveConfig, type Config, type ResolvedConfig } from "./config/index.ts";
import { createStaticResolver } from "./dns/index.ts";
import { PosternError } from "./errors.ts";
import { createMemoryBlob } from "./message/index.ts";
import { delivered, type QueuedMessage } from "./model/index.ts";
import { definePlugin, type Gateway, type PluginInstance } from "./plugin/index.ts";
import { createMemoryStore, type QueueStore } from "./queue/index.ts";
import { createRuntime } from "./runtime.ts";
import type { Runtime, RuntimeOptions } from "./runtime-contract.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-runtime-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Real ports, real stores, a real control socket. */
function configured(changes: Partial<Config> = {}): ResolvedConfig {
  const written: Partial<Config> = {
    hostname: "mx.example.test",
    domains: { relay: ["example.test"] },
    listeners: [{ name: "first", host: "127.0.0.1", port: 0 }],
    queue: { directory: "./queue" },
    ...changes,
  };
  return resolveConfig(written, { file: join(folder, "postern.config.json") });
}

const plugin = (setup: (gateway: Gateway) => void, name = "probe"): Promise<PluginInstance> =>
  instantiate(definePlugin({ name, apiVersion: 1, options: z.strictObject({}), setup }));

/** Delivers everything, and says when it is closed. */
const smtp = (diary: string[] = []): Promise<PluginInstance> =>
  plugin((gateway) => {
    gateway.transport({
      name: "smtp",
      description: "Delivers.",
      async deliver({ recipients }, { settle }) {
        for (const recipient of recipients) settle(recipient, delivered("taken"));
        return { destination: "alive" };
      },
      close: async () => void diary.push("transport closed"),
    });
    gateway.onReady(() => void diary.push("ready"));
    gateway.onClose(() => void diary.push("closed"));
  }, "smtp");

async function start(changes: Partial<Config> = {}, options: RuntimeOptions = {}): Promise<Runtime> {
  const { instances = [] } = options;
  return createRuntime(configured(changes), {
    resolver: createStaticResolver({}),
    lookUpClients: false,
    ...options,
    instances: [...instances, await smtp()],
  });
}

/** Servers of this process that listen, on ports and on sockets in folders. */
function listening(): number {
  return process.getActiveResourcesInfo().filter((name) => /^(?:TCPServer|PipeServer)Wrap$/.test(name)).length;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}

async function takenPort(): Promise<{ readonly port: number; free(): Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { port, free: () => new Promise((resolve) => server.close(() => resolve())) };
}

interface Failing {
  readonly name: string;
  /** Breaks something, and gives what the start needs to stumble over it, and how to mend it. */
  readonly prepare: () => Promise<{
    changes?: Partial<Config>;
    options?: RuntimeOptions;
    mend?: () => Promise<void> | void;
  }>;
  readonly code: string;
  readonly message: RegExp;
}

const failing: readonly Failing[] = [
  {
    name: "the second listener's port is taken",
    async prepare() {
      const taken = await takenPort();
      const first = { name: "first", host: "127.0.0.1", port: 0 };
      return {
        changes: { listeners: [first, { name: "second", host: "127.0.0.1", port: taken.port }] },
        mend: () => taken.free(),
      };
    },
    code: "LISTEN_FAILED",
    message: /^listener second cannot take 127\.0\.0\.1:\d+: the port is in use$/,
  },
  {
    name: "the queue's folder has no parent",
    async prepare() {
      return { changes: { queue: { directory: "./no/queue" } }, mend: () => mkdirSync(join(folder, "no")) };
    },
    code: "CONFIG_INVALID",
    message: /no/,
  },
  {
    name: "the queue's folder is a file",
    async prepare() {
      const path = join(folder, "queue");
      writeFileSync(path, "");
      return { changes: { state: { store: "memory" } }, mend: () => rmSync(path) };
    },
    code: "CONFIG_INVALID",
    message: /queue/,
  },
  {
    name: "the control folder is a file",
    async prepare() {
      const path = join(folder, "run");
      writeFileSync(path, "");
      return { mend: () => rmSync(path) };
    },
    code: "CONFIG_INVALID",
    message: /control\.directory/,
  },
  {
    name: "a plugin throws in setup",
    prepare: async () => ({
      options: {
        instances: [
          await plugin(() => {
            throw new Error("no setup");
          }),
        ],
      },
    }),
    code: "PLUGIN_INVALID",
    message: /probe.*no setup/,
  },
  {
    name: "a plugin rejects in ready",
    prepare: async () => ({
      options: {
        instances: [await plugin((gateway) => gateway.onReady(() => Promise.reject(new Error("not ready"))))],
      },
    }),
    code: "PLUGIN_INVALID",
    message: /probe.*not ready/,
  },
  {
    name: "a word that nobody knows",
    prepare: async () => ({ changes: { policy: { rcpt: ["nonsense"] } } }),
    code: "CONFIG_INVALID",
    message: /nonsense/,
  },
];

describe("a start that fails leaves nothing, and the next one can be at once", () => {
  test.each(failing)("$name", async ({ prepare, code, message }) => {
    const before = listening();
    const { changes = {}, options = {}, mend } = await prepare();
    const held = listening() - before;
    const failed = await start(changes, options).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(PosternError);
    expect(failed).toMatchObject({ code });
    expect((failed as Error).message).toMatch(message);
    expect((failed as Error).message).not.toMatch(/\n/);
    // A handle is gone some turns after its close was told.
    for (let turn = 0; turn < 1000 && listening() - held > before; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(listening() - held).toBeLessThanOrEqual(before);

    await mend?.();
    const queue = { directory: changes.queue === undefined ? "./queue" : "./no/queue" };
    const runtime = await start({ ...changes, ...(changes.policy === undefined ? {} : { policy: {} }), queue });
    const ports = runtime.listeners.map(({ port }) => port);
    expect(await Promise.all(ports.map(isOpen))).toEqual(ports.map(() => true));
    await runtime.close();
    expect(await Promise.all(ports.map(isOpen))).toEqual(ports.map(() => false));
  });

  test("plugins that were ready are closed in reverse order", async () => {
    const taken = await takenPort();
    const diary: string[] = [];
    const other = await plugin((gateway) => gateway.onClose(() => void diary.push("other closed")));
    const listeners = [{ host: "127.0.0.1", port: taken.port }];
    const options = { instances: [await smtp(diary), other], resolver: createStaticResolver({}) };
    await expect(createRuntime(configured({ listeners }), options)).rejects.toThrow("the port is in use");
    expect(diary).toEqual(["ready", "other closed", "closed", "transport closed"]);
    await taken.free();
  });

  test("a second gateway on the same folders is refused and does the first one no harm", async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({ code: expect.stringMatching(/^(STORE_LOCKED|LISTEN_FAILED)$/) });
    await expect(start({}, { control: false })).rejects.toMatchObject({ code: "STORE_LOCKED" });
    expect(await isOpen(first.listeners[0]?.port ?? 0)).toBe(true);
    await first.close();
    await (await start()).close();
  });
});

const content = createMemoryBlob([Buffer.from("Subject: x\r\n\r\nx\r\n")]);
const message = (id: string): QueuedMessage => ({
  id,
  envelope: {
    sender: "a@example.test",
    recipients: [{ address: "b@example.test", original: "b@example.test" }],
    body: "7bit",
    smtputf8: false,
  },
  arrivedAt: Date.now(),
  sizeBytes: content.sizeBytes,
  origin: undefined,
});

describe("a close", () => {
  test("that is asked for many times is one, and says what it said the first time", async () => {
    const reasons: string[] = [];
    const told = await plugin((gateway) => gateway.hooks.lifecycle.closing.tap((reason) => void reasons.push(reason)));
    const runtime = await start({}, { instances: [told] });
    await Promise.all([runtime.close("one"), runtime.close("two"), runtime.closed]);
    await runtime.close("three");
    expect(reasons).toEqual(["one"]);
  });

  test("waits for a delivery in hand, and what could not end is there at the next start", async () => {
    const begun = Promise.withResolvers<void>();
    const stuck = await plugin((gateway) =>
      gateway.transport({
        name: "smtp",
        description: "Delivers when it is told to end.",
        async deliver({ recipients }, { settle, signal }) {
          begun.resolve();
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          for (const recipient of recipients.slice(0, 1)) settle(recipient, delivered("in the last moment"));
          return { destination: "alive" };
        },
        close: async () => undefined,
      }),
    );
    const options = { resolver: createStaticResolver({}), lookUpClients: false, instances: [stuck] };
    const runtime = await createRuntime(configured(), options);
    const twice = message("TWO");
    const { recipients } = twice.envelope;
    const two = {
      ...twice,
      envelope: {
        ...twice.envelope,
        recipients: [...recipients, { address: "c@example.test", original: "c@example.test" }],
      },
    };
    await runtime.submit(two, content);
    await begun.promise;
    await runtime.close("test", 0);

    const outcomes: string[] = [];
    const next = await start(
      {},
      { onEvent: (event) => void (event.kind === "delivered" && outcomes.push(event.recipient.address)) },
    );
    next.flush();
    while (next.status().queue.messages > 0) await new Promise((resolve) => setImmediate(resolve));
    await next.close();
    expect(outcomes).toEqual(["c@example.test"]);
  });

  test("of the queue comes after its last delivery", async () => {
    const diary: string[] = [];
    const store = createMemoryStore();
    const queueStore: QueueStore = new Proxy(store, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (key === "close" || key === "remove" || key === "settle") diary.push(key);
          return Reflect.apply(value, target, args) as unknown;
        };
      },
    });
    const runtime = await start({}, { queueStore });
    await runtime.submit(message("ONE"), content);
    await runtime.close();
    expect(diary).toEqual(["settle", "remove", "close"]);
  });
});
