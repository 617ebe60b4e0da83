/**
 * The running gateway: what outlives a generation (listeners, queue, state, clock, the control socket) and the only wiring of
 * the folders with each other.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { composeBounce } from "./bounce/index.ts";
import type { ResolvedConfig } from "./config/index.ts";
import { openControl, quarantineCommands, queueCommands } from "./control/index.ts";
import { DeliveryDriver, formatMailEvent, QueueDesk, type Failure } from "./delivery/index.ts";
import { createResolver } from "./dns/index.ts";
import { ConfigError, PosternError } from "./errors.ts";
import { createFailureLog, createGuard } from "./guard/index.ts";
import { loadInstances } from "./config-check.ts";
import type { Generation, GenerationParts } from "./generation-contract.ts";
import { buildGeneration } from "./generation.ts";
import { createNamelessFiles, createSpooler, type Blob, type SpoolFiles } from "./message/index.ts";
import {
  after,
  createIdSource,
  logText,
  systemClock,
  type Clock,
  type Envelope,
  type QueuedMessage,
} from "./model/index.ts";
import type { PluginInstance } from "./plugin/index.ts";
import type { LogLevel, RunningListener, Runtime, RuntimeOptions, RuntimeStatus } from "./runtime-contract.ts";
import { formatQuarantineEvent, Quarantine, type QuarantineEvent } from "./quarantine/index.ts";
import { createSegmentStore, onHold, retryDefaults, type OpenReport, type QueueStore } from "./queue/index.ts";
import { createSmtpListener, formatSmtpEvent, type SmtpHost, type SmtpListener } from "./smtp/index.ts";
import { createMemoryStateStore, openSqliteStateStore, type StateStore } from "./state/index.ts";

const defaultGraceMs = 10_000;
/** For calls of sessions that are over. */
const lastCallsMs = 1_000;
const sweepEveryMs = 10 * 60_000;

/** Starts a gateway. Rejects with one clear sentence, and then nothing of it is left running. */
export async function createRuntime(config: ResolvedConfig, options: RuntimeOptions = {}): Promise<Runtime> {
  await using building = new AsyncDisposableStack();
  const gateway = new RunningGateway(config, options);
  building.defer(() => gateway.close("it did not start", 0));
  await gateway.start();
  building.move();
  return gateway;
}

class RunningGateway implements Runtime {
  readonly #config: ResolvedConfig;
  readonly #options: RuntimeOptions;
  readonly #clock: Clock;
  readonly #store: QueueStore;
  readonly #ids: () => string;
  readonly #failures: ReturnType<typeof createFailureLog>;
  readonly #parts: Omit<GenerationParts, "space">;
  readonly #driver: DeliveryDriver;
  readonly quarantine: Quarantine;
  readonly #closers = new AsyncDisposableStack();
  readonly #retiring = new Map<Generation, Promise<void>>();
  readonly #listeners: SmtpListener[] = [];
  readonly #closedPromise = Promise.withResolvers<void>();
  #running: RunningListener[] = [];
  #state: StateStore | undefined;
  #generation: Generation | undefined;
  #closing: Promise<void> | undefined;
  #reloading: Promise<void> = Promise.resolve();

  constructor(config: ResolvedConfig, options: RuntimeOptions) {
    const { clock = systemClock, random = Math.random } = options;
    this.#config = config;
    this.#options = options;
    this.#clock = clock;
    this.#ids = createIdSource(() => clock.now(), random);
    this.#failures = createFailureLog(clock, (owner, text) => this.#log("warn", `plugin ${owner}: ${text}`));
    const guard = createGuard(clock, (failed) => this.#failures.report(failed));
    this.#store = options.queueStore ?? this.#createStore();
    this.#parts = {
      clock,
      guard,
      resolver: options.resolver ?? createResolver({ ...config.dns, clock }),
      log: (level, plugin, text) => this.#log(level, `plugin ${plugin}: ${text}`),
      note: (note) => this.#tell({ kind: "remarked", ...note }, formatSmtpEvent),
      searchFrom: options.searchFrom ?? [],
      listening: () => this.#running,
      lookUpClients: options.lookUpClients ?? true,
    };
    this.#driver = new DeliveryDriver(
      {
        clock,
        random,
        store: this.#store,
        acquire: () => this.generation.forDelivery(),
        bounce: (original, failures, content) => this.#bounce(original, failures, content),
        log: (event) => this.#tell(event, formatMailEvent),
      },
      guard,
      {
        scheduler: {
          retry: {
            ...retryDefaults,
            minimalMs: config.queue.minBackoffMs,
            maximalMs: config.queue.maxBackoffMs,
            lifetimeMs: config.queue.lifetimeMs,
            bounceLifetimeMs: config.bounce.lifetimeMs,
          },
          maxDeliveries: config.delivery.total,
        },
        maxConcurrency: config.delivery.concurrency,
        timeoutMs: config.delivery.timeoutMs,
      },
    );
    this.quarantine = new Quarantine({
      ...config.quarantine,
      store: options.quarantineStore,
      clock,
      ids: this.#ids,
      queue: {
        has: (id) => after(this.#store.entry(id), (entry) => entry !== undefined),
        enqueue: (message, content) => this.submit(message, content),
      },
      tell: (event) => this.#tellOfQuarantine(event),
      warn: (text) => this.#log("warn", `quarantine: ${text}`),
      opened: (report) => this.#tellOfOpening("quarantine", "put aside", report),
    });
  }

  get generation(): Generation {
    if (this.#generation === undefined) throw new Error("the gateway has not been started");
    return this.#generation;
  }

  get listeners(): readonly RunningListener[] {
    return this.#running;
  }

  get closed(): Promise<void> {
    return this.#closedPromise.promise;
  }

  listener(name: string): SmtpListener | undefined {
    return this.#listeners.find(({ settings }) => settings.name === name);
  }

  /** In the order in which mistakes are likely; each step's closing is noted before the next. */
  async start(): Promise<void> {
    const instances = await loadInstances(this.#config, this.#options);
    this.#closers.defer(() => this.#state?.close());
    this.#generation = await this.#build(this.#config, instances);
    this.#closers.defer(() => this.#retireAll());
    // Used or not: that its folder is in order shows at the start.
    if (this.#generation.stateStore === undefined) this.#ownState();
    await this.#openStore();
    this.#closers.defer(() => this.quarantine.close());
    await this.quarantine.start();
    if (this.#options.control ?? true) await this.#openControl();
    this.#options.collector?.started();
    await this.#listen();
    this.#driver.restore();
    this.#sweepNowAndThen();
    this.generation.hooks.lifecycle.ready.call(this.#running.map(({ host, port }) => `${host}:${port}`));
  }

  submit(message: QueuedMessage, content: Blob, held?: string): Promise<void> {
    if (held !== undefined) return this.#submitHeld(message, content, held);
    return this.#store.commit(message, content).then(() => this.#driver.added(message));
  }

  async #submitHeld(message: QueuedMessage, content: Blob, reason: string): Promise<void> {
    await this.#store.commit(message, content, { attempts: 0, nextAttemptAt: onHold, reason });
    this.#driver.enqueued(message);
  }

  flush(): void {
    this.#driver.flush();
  }

  status(): RuntimeStatus {
    const { active, deliveries } = this.#driver.counts;
    const { number, users } = this.generation;
    return {
      listeners: this.#running,
      generation: { number, users },
      queue: { messages: this.#store.size, active, deliveries },
      quarantine: this.quarantine.status(),
      scanners: this.generation.scanners(),
      failures: this.#failures.counts(),
    };
  }

  reload(config: ResolvedConfig, instances?: readonly PluginInstance[]): Promise<void> {
    // One after another, so that the one asked for last is the one that stands.
    const reloaded = this.#reloading.then(() => this.#reload(config, instances));
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  async #reload(config: ResolvedConfig, instances?: readonly PluginInstance[]): Promise<void> {
    for (const key of outliving) {
      if (JSON.stringify(config[key]) === JSON.stringify(this.#config[key])) continue;
      throw new ConfigError(`${config.file}: "${key}" has changed and needs a restart`);
    }
    const next = await this.#build(config, instances ?? (await loadInstances(config, this.#options)));
    if (this.#closing !== undefined) {
      await next.retire();
      throw new PosternError("CONTROL_UNAVAILABLE", "the gateway is being stopped");
    }
    const previous = this.generation;
    this.#generation = next;
    this.#retire(previous);
    this.#driver.routesChanged();
  }

  close(reason = "stopped", graceMs = defaultGraceMs): Promise<void> {
    this.#closing ??= this.#closeAll(reason, graceMs).finally(() => this.#closedPromise.resolve());
    return this.#closing;
  }

  async #closeAll(reason: string, graceMs: number): Promise<void> {
    this.#generation?.hooks.lifecycle.closing.call(reason);
    // Listeners first, so that nothing new comes in; then deliveries; the stores under both last.
    await Promise.all(this.#listeners.map((listener) => listener.close(graceMs)));
    await this.#driver.close(graceMs);
    // A generation that is being built uses the state store.
    await this.#reloading;
    await this.#closers.disposeAsync();
  }

  #build(config: ResolvedConfig, instances: readonly PluginInstance[]): Promise<Generation> {
    return buildGeneration(config, instances, {
      ...this.#parts,
      space: (name, options) => this.#ownState().space(name, options),
    });
  }

  /** Opened with the first generation whose plugins bring no other. */
  #ownState(): StateStore {
    this.#state ??= this.#options.stateStore ?? this.#openState();
    return this.#state;
  }

  #retire(generation: Generation): void {
    const retired = generation.retire().catch((error: unknown) => {
      this.#log("warn", `closing generation ${generation.number}: ${logText((error as Error).message)}`);
    });
    this.#retiring.set(generation, retired);
    void retired.then(() => this.#retiring.delete(generation));
  }

  /** Sessions and deliveries are over by now. What they asked of a service may be on its way for minutes yet. */
  async #retireAll(): Promise<void> {
    if (this.#generation !== undefined) this.#retire(this.#generation);
    const late = this.#clock.setTimer(() => {
      for (const generation of this.#retiring.keys()) generation.abandon();
    }, lastCallsMs);
    await Promise.all(this.#retiring.values());
    late.cancel();
  }

  #createStore(): QueueStore {
    const { directory, minFreeBytes, segmentSizeBytes } = this.#config.queue;
    return createSegmentStore({
      directory,
      clock: this.#clock,
      minFreeBytes,
      segmentBytes: segmentSizeBytes,
      onError: (error) => this.#log("warn", `queue: ${logText(error.message)}`),
    });
  }

  #openState(): StateStore {
    const { store, directory } = this.#config.state;
    return store === "memory"
      ? createMemoryStateStore({ clock: this.#clock })
      : openSqliteStateStore({ directory, clock: this.#clock, warn: (text) => this.#log("warn", text) });
  }

  async #openStore(): Promise<void> {
    const report = await this.#store.open();
    this.#closers.defer(() => this.#store.close());
    this.#tellOfOpening("queue", "waiting", report);
  }

  #tellOfOpening(what: string, state: string, { waiting, damage }: OpenReport): void {
    if (waiting > 0) this.#log("info", `${what}: ${waiting} ${state}`);
    for (const { where, text, keptIn } of damage) {
      this.#log("warn", `${what}: damage at ${where}: ${text}${keptIn === undefined ? "" : `; kept in ${keptIn}`}`);
    }
  }

  async #openControl(): Promise<void> {
    const desk = new QueueDesk(this.#store, this.#driver, this.#clock);
    const control = await openControl(this.#config.control.directory, {
      status: () => this.status(),
      ...queueCommands(desk),
      ...quarantineCommands(this.quarantine),
      stop: () => {
        void this.close("asked by the control socket");
        return { stopping: true };
      },
    });
    this.#closers.defer(() => control.close());
  }

  async #listen(): Promise<void> {
    const host = this.#smtpHost();
    for (const settings of this.#config.listeners) {
      this.#listeners.push(createSmtpListener(settings, host));
    }
    if (this.#options.listen === false) return;
    for (const listener of this.#listeners) {
      const address = await listener.listen();
      this.#running = [...this.#running, { name: listener.settings.name, ...address }];
    }
  }

  #ownFiles(): SpoolFiles {
    const directory = this.#options.spoolDirectory ?? join(this.#config.queue.directory, "incoming");
    if (this.#options.spoolDirectory === undefined) mkdirSync(directory, { recursive: true, mode: 0o700 });
    return createNamelessFiles(directory);
  }

  #smtpHost(): SmtpHost {
    const { messageSizeBytes, headerSizeBytes } = this.#config.limits;
    return {
      clock: this.#clock,
      ids: this.#ids,
      acquire: (sessionId) => this.generation.forSession(sessionId),
      spooler: createSpooler({
        files: this.#store.incoming ?? this.#ownFiles(),
        maxSizeBytes: messageSizeBytes,
        maxHeaderBytes: headerSizeBytes,
        watch: this.#options.collector,
      }),
      hasRoom: (bytes) => this.#store.hasRoom(bytes),
      enqueue: (message, content, held) => this.submit(message, content, held),
      quarantine: (message, content, reason) => this.quarantine.add(message, content, reason),
      withdraw: (id) => this.quarantine.withdraw(id),
      log: (event) => this.#tell(event, formatSmtpEvent),
    };
  }

  async #bounce(
    original: QueuedMessage,
    failed: readonly Failure[],
    content: Blob | undefined,
  ): Promise<string | undefined> {
    const { hostname, bounce } = this.#config;
    const made = await composeBounce({
      original,
      failed,
      content,
      reporter: hostname,
      ids: this.#ids,
      now: this.#clock.now(),
      sizeLimitBytes: bounce.sizeLimitBytes,
    });
    if (made === undefined) return undefined;
    const { message, content: report } = made;
    const rewritten = await this.#rewrite(message.envelope, report);
    const { sizeBytes } = rewritten.content;
    await this.submit({ ...message, envelope: rewritten.envelope, sizeBytes }, rewritten.content);
    return message.id;
  }

  /** A report goes to a sender who may be an alias of ours. */
  async #rewrite(envelope: Envelope, content: Blob): Promise<{ envelope: Envelope; content: Blob }> {
    const generation = this.generation.forDelivery();
    try {
      return await generation.rewrite(envelope, content);
    } finally {
      generation.release();
    }
  }

  #sweepNowAndThen(): void {
    const sweep = async (): Promise<void> => {
      try {
        await (this.generation.stateStore ?? this.#state)?.sweep();
      } catch (error) {
        this.#log("warn", `state: ${logText((error as Error).message)}`);
      }
      if (this.#closing === undefined) this.#clock.setTimer(() => void sweep(), sweepEveryMs);
    };
    this.#clock.setTimer(() => void sweep(), sweepEveryMs);
  }

  #tellOfQuarantine(event: QuarantineEvent): void {
    const { generation } = this;
    const held = generation.forDelivery();
    try {
      const { added, released, deleted } = generation.hooks.quarantine;
      if (event.kind === "putAside") {
        if (added.tapped) added.call(event.message, event.reason);
        return;
      }
      if (event.kind === "released" && released.tapped) released.call(event.message, event.id);
      if (event.kind === "deleted" && deleted.tapped) deleted.call(event.id, event.why, event.message);
      this.#tell(event, formatQuarantineEvent);
    } finally {
      held.release();
    }
  }

  #tell<E extends GatewayEvent>(event: E, format: (event: E) => string): void {
    this.#options.onEvent?.(event);
    if (this.#options.log !== undefined) this.#options.log(levelOf(event), format(event));
  }

  #log(level: LogLevel, line: string): void {
    this.#options.log?.(level, line);
  }
}

/** Keys whose values live longer than a generation. */
const outliving = Object.freeze([
  "listeners",
  "queue",
  "quarantine",
  "state",
  "delivery",
  "bounce",
  "dns",
  "control",
] as const);

type GatewayEvent = Parameters<NonNullable<RuntimeOptions["onEvent"]>>[0];

function levelOf({ kind }: GatewayEvent): LogLevel {
  return kind === "failed" || kind === "troubled" ? "warn" : "info";
}
