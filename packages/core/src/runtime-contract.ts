/** What is asked of a running gateway, and what may be given to one. */
import type { ResolvedConfig } from "./config/index.ts";
import type { MailEvent } from "./delivery/index.ts";
import type { Resolver } from "./dns/index.ts";
import type { Generation } from "./generation-contract.ts";
import type { Blob } from "./message/index.ts";
import type { Clock, QueuedMessage } from "./model/index.ts";
import type { PluginInstance } from "./plugin/index.ts";
import type { Quarantine, QuarantineEvent, QuarantineStatus } from "./quarantine/index.ts";
import type { QueueStore } from "./queue/index.ts";
import type { ScannerStatus } from "./scanning/index.ts";
import type { SmtpEvent, SmtpListener } from "./smtp/index.ts";
import type { StateStore } from "./state/index.ts";

export type LogLevel = "info" | "warn";

/** The gateway knows better than V8 when there is garbage. Nothing here may throw or wait. */
export interface Collector {
  /** The start is over: what it left behind can go. */
  started(): void;
  /** Octets of content came: each read of a socket leaves a buffer behind, sooner or later. */
  received(bytes: number): void;
  /** Octets of a large message went to its file: their buffers are garbage at once. */
  spilled(bytes: number): void;
}

/** Everything here has a default; tests and embedders give their own. */
export interface RuntimeOptions {
  /** More folders from which packages resolve, when the config's own has none: the command's installation. */
  readonly searchFrom?: readonly string[];
  /** Plugins beside those of the config, set up after them. */
  readonly instances?: readonly PluginInstance[];
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  readonly resolver?: Resolver;
  readonly queueStore?: QueueStore;
  /** What is put aside, in place of the folder of the config. */
  readonly quarantineStore?: QueueStore;
  readonly stateStore?: StateStore;
  /** For large bodies on their way in, when the queue's store has no files for them; `incoming` in the queue's folder unless given. */
  readonly spoolDirectory?: string;
  /** Ask for clients' names (PTR and back). Default true. */
  readonly lookUpClients?: boolean;
  /** Bind the listeners' ports. Default true; else `connectInProcess` is the only way in. */
  readonly listen?: boolean;
  /** Open the control socket. Default true. */
  readonly control?: boolean;
  /** Nothing is collected before V8 does unless given. */
  readonly collector?: Collector;
  /** One safe line of the mail log. Must not throw. */
  readonly log?: (level: LogLevel, line: string) => void;
  /** The same as events. Must not throw. */
  readonly onEvent?: (event: SmtpEvent | MailEvent | Exclude<QuarantineEvent, { kind: "putAside" }>) => void;
}

export interface RunningListener {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Runtime {
  /** With the ports that were taken. */
  readonly listeners: readonly RunningListener[];
  /** By name, for dialogues in process. */
  listener(name: string): SmtpListener | undefined;
  /** The one that new sessions get. */
  readonly generation: Generation;
  /**
   * Puts a message into the queue as if it had been received; resolves when it is on stable storage. `held`: why it is to stay there
   * until it is released.
   */
  submit(message: QueuedMessage, content: Blob, held?: string): Promise<void>;
  /** What was put aside. */
  readonly quarantine: Quarantine;
  /** Tries everything in the queue now. */
  flush(): void;
  status(): RuntimeStatus;
  /**
   * Builds a generation from another config and lets new sessions and deliveries have it; those under way keep theirs. Rejects,
   * and nothing changes, when it cannot be built or when it changes what outlives generations.
   */
  reload(config: ResolvedConfig, instances?: readonly PluginInstance[]): Promise<void>;
  /** Takes no new sessions, lets what is in hand end within `graceMs` (10 s), and closes everything. */
  close(reason?: string, graceMs?: number): Promise<void>;
  /** When `close` is done, whoever asked for it. */
  readonly closed: Promise<void>;
}

export interface RuntimeStatus {
  readonly listeners: readonly RunningListener[];
  readonly generation: { readonly number: number; readonly users: number };
  readonly queue: { readonly messages: number; readonly active: number; readonly deliveries: number };
  /** By name; those of the generation that new sessions get, counted since it began. */
  readonly scanners: Readonly<Record<string, ScannerStatus>>;
  readonly quarantine: QuarantineStatus;
  /** Failures of plugins since the start. */
  readonly failures: Readonly<Record<string, number>>;
}
