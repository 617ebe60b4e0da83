/**
 * A whole gateway in memory: sessions, policy, plugins, queue, state and delivery are the real ones; there is no port, no
 * disk but for large bodies, and no network. Its transports keep what is delivered.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import {
  connectInProcess,
  createMemoryStateStore,
  createMemoryStore,
  createRuntime,
  createStaticResolver,
  definePlugin,
  delivered,
  resolveConfig,
  systemClock,
  type Clock,
  type Config,
  type DeliveryRequest,
  type Outcome,
  type PluginDefinition,
  type QueueStore,
  type Recipient,
  type Resolver,
  type Runtime,
  type RuntimeOptions,
  type StateStore,
} from "@postern/core";
import { z } from "zod";
import type { SmtpClient, SmtpPeer } from "./dialogue.ts";
import { changedStore } from "./changed-store.ts";
import { instantiate } from "./plugin-instance.ts";

export interface TestGatewayOptions {
  /** Plugins in hand, after those that the config names; with options as in a config. */
  readonly plugins?: readonly (PluginDefinition | readonly [PluginDefinition, Readonly<Record<string, unknown>>])[];
  /** Real time unless given. A fake one moves retries, deadlines and greylists. */
  readonly clock?: Clock;
  /** Knows nothing unless given. */
  readonly dns?: Resolver;
  /** In memory and its own unless given; one in hand is shared, and not closed. */
  readonly stateStore?: StateStore;
  /** What becomes of a recipient; delivered unless given. */
  readonly deliver?: (recipient: Recipient, request: DeliveryRequest) => Outcome;
  /** False when the plugins bring the transports `smtp` and `maildir` themselves. */
  readonly memoryTransports?: boolean;
}

/** What a transport was handed. */
export interface Delivery {
  readonly id: string;
  readonly transport: string;
  readonly nextHop: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
}

/** What was put aside. */
export interface PutAside {
  readonly id: string;
  readonly reason: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: Buffer;
}

export interface TestGateway extends SmtpPeer, AsyncDisposable {
  readonly runtime: Runtime;
  readonly deliveries: readonly Delivery[];
  /** In order; `runtime.quarantine` releases and deletes. */
  readonly quarantined: readonly PutAside[];
  /** Lines of the mail log. */
  readonly log: readonly string[];
  readonly events: readonly Parameters<NonNullable<RuntimeOptions["onEvent"]>>[0][];
  /** By the listener's name; the first one unless given. */
  connect(client?: SmtpClient & { readonly listener?: string }): Duplex;
  /** Resolves with all deliveries when there are `count`. */
  delivered(count: number): Promise<readonly Delivery[]>;
  close(): Promise<void>;
}

/** `config` as in a file; hostname, networks, listener and queue have defaults here. Rejects as a gateway's start does. */
export async function createTestGateway(
  config: Partial<Config> = {},
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  const { plugins = [], clock = systemClock, dns = createStaticResolver({}), memoryTransports = true } = options;
  const folder = await mkdtemp(join(tmpdir(), "postern-test-"));
  const log: string[] = [];
  const events: Parameters<NonNullable<RuntimeOptions["onEvent"]>>[0][] = [];
  const deliveries: Delivery[] = [];
  const quarantined: PutAside[] = [];
  const waiting: { readonly count: number; readonly wake: () => void }[] = [];
  const note = (delivery: Delivery): void => {
    deliveries.push(delivery);
    for (const { count, wake } of waiting) if (deliveries.length >= count) wake();
  };

  async function start(): Promise<Runtime> {
    const entries = plugins.map((plugin) => ("setup" in plugin ? ([plugin, {}] as const) : plugin));
    const instances = await Promise.all(entries.map(([definition, given]) => instantiate(definition, given)));
    if (memoryTransports) instances.push(await instantiate(memoryTransport(note, options.deliver)));
    const written: Partial<Config> = {
      hostname: "mx.example.test",
      listeners: [{ name: "test", host: "127.0.0.1", port: 25 }],
      queue: { directory: join(folder, "queue") },
      ...config,
    };
    return createRuntime(resolveConfig(written, { file: join(folder, "postern.config.json") }), {
      clock,
      instances,
      listen: false,
      control: false,
      lookUpClients: options.dns !== undefined,
      resolver: dns,
      queueStore: createMemoryStore(),
      quarantineStore: notingStore(quarantined),
      stateStore: options.stateStore === undefined ? createMemoryStateStore({ clock }) : leftOpen(options.stateStore),
      spoolDirectory: folder,
      log: (level, line) => void log.push(`${level} ${line}`),
      onEvent: (event) => void events.push(event),
    });
  }

  try {
    const runtime = await start();
    const close = async (): Promise<void> => {
      await runtime.close("the test is over", 0);
      await rm(folder, { recursive: true, force: true });
    };
    return {
      runtime,
      deliveries,
      quarantined,
      log,
      events,
      close,
      [Symbol.asyncDispose]: close,
      connect: (client: SmtpClient & { readonly listener?: string } = {}): Duplex => {
        const { listener = config.listeners?.[0]?.name ?? "test", ...from } = client;
        const found = runtime.listener(listener);
        if (found === undefined) throw new Error(`no listener ${listener}`);
        return connectInProcess(found, from);
      },
      async delivered(count) {
        if (deliveries.length < count) await new Promise<void>((wake) => waiting.push({ count, wake }));
        return deliveries;
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** In memory; notes what it is given. */
function notingStore(quarantined: PutAside[]): QueueStore {
  const store = createMemoryStore();
  return changedStore(store, {
    async commit(message, content, schedule) {
      const pieces: Buffer[] = [];
      for await (const piece of content.read()) pieces.push(piece);
      await store.commit(message, content, schedule);
      const { id, envelope, quarantine } = message;
      quarantined.push({
        id,
        reason: quarantine?.reason ?? "",
        sender: envelope.sender,
        recipients: envelope.recipients.map(({ address }) => address),
        content: Buffer.concat(pieces),
      });
    },
  });
}

function leftOpen(store: StateStore): StateStore {
  return { space: (name, options) => store.space(name, options), sweep: () => store.sweep(), close: () => undefined };
}

function memoryTransport(
  note: (delivery: Delivery) => void,
  deliver: TestGatewayOptions["deliver"] = () => delivered("kept in memory"),
) {
  return definePlugin({
    name: "memory-transport",
    apiVersion: 1,
    options: z.strictObject({}),
    setup(gateway) {
      for (const name of ["smtp", "maildir"]) {
        gateway.transport({
          name,
          description: "Keeps what it is handed.",
          outbound: name === "smtp",
          async deliver(request, { settle }) {
            const content: Buffer[] = [];
            for await (const piece of request.content.read()) content.push(piece);
            const taken = request.recipients.filter((recipient) => {
              const outcome = deliver(recipient, request);
              settle(recipient, outcome);
              return outcome.status === "delivered";
            });
            const { id, route, envelope } = request;
            if (taken.length > 0) {
              note({
                id,
                transport: name,
                nextHop: route.nextHop,
                sender: envelope.sender,
                recipients: taken.map(({ address }) => address),
                content: Buffer.concat(content),
              });
            }
            return { destination: "alive" };
          },
          close: async () => undefined,
        });
      }
    },
  });
}
