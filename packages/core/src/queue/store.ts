/**
 * The queue store's contract. `commit` resolves when the message is on stable storage: only then may 250 be sent
 * (RFC 5321 §6.1). What it took it keeps until every recipient is settled and `remove` was said.
 *
 * Memory: a waiting message is an id and a place on disk. Whoever needs more asks `entry` and `content`, which answer at once
 * for what was committed a moment ago and read back everything else.
 */
import type { Blob } from "../message/blob.ts";
import type { SpoolFiles } from "../message/spool-file.ts";
import type { MaybePromise, Outcome, QueuedMessage } from "../model/index.ts";

/** What the scheduler must know to try again; kept across restarts, on a best-effort basis. */
export interface Schedule {
  /** Attempts so far. */
  readonly attempts: number;
  /** Wall clock, milliseconds since 1970. */
  readonly nextAttemptAt: number;
  /** Last deferral, one line, for bounces after the lifetime and for queue listings. */
  readonly reason?: string;
}

/** `nextAttemptAt` of a message on hold: it is not tried before somebody releases it. */
export const onHold = Number.MAX_SAFE_INTEGER;

/** The final word on one recipient. */
export interface Settlement {
  /** Index into `message.envelope.recipients`. */
  readonly index: number;
  /** `delivered` or `bounced`. */
  readonly outcome: Outcome;
}

/** All that the store knows of a message but its content. Every recipient is in `pending` or in `settled`, never in both. */
export interface QueueEntry {
  readonly message: QueuedMessage;
  /** Indexes into `message.envelope.recipients` that have no final outcome, ascending. */
  readonly pending: readonly number[];
  readonly settled: readonly Settlement[];
  readonly schedule: Schedule | undefined;
}

/** What a restart needs to know of a message before it is due. */
export interface WaitingMessage {
  readonly id: string;
  /** Wall clock; 0 when it was never deferred: due at once; `onHold`: not due. */
  readonly nextAttemptAt: number;
}

/** Something on disk that cannot be read. Nothing unreadable is thrown away: `keptIn` says where its octets are. */
export interface Damage {
  /** File and octet offset, for the operator. */
  readonly where: string;
  readonly sizeBytes: number;
  /** One sentence. */
  readonly text: string;
  /** File with the octets; `undefined` when there are none (a missing spool file). */
  readonly keptIn: string | undefined;
}

export interface OpenReport {
  readonly waiting: number;
  readonly damage: readonly Damage[];
}

export interface QueueStore {
  /**
   * Takes the folder and replays. `STORE_LOCKED` when a living process has it; a dead one's lock is taken. Once, first.
   * Throws ConfigError when the folder can neither be used nor made.
   */
  open(): Promise<OpenReport>;
  /** Every message that is here, fully settled ones too (their `remove` was lost in a crash). After `open`, before the first `commit`. */
  waiting(): Iterable<WaitingMessage>;
  /** Files for large contents on their way in: a content that ends in one of them is committed without copying it. */
  readonly incoming?: SpoolFiles;
  /** Messages here. */
  readonly size: number;
  /** Octets of a message's content, when they are known without reading. */
  contentBytes?(id: string): number | undefined;
  /** Envelope, outcomes and schedule; `undefined` when the message is not here. Rejects with `STORE_DAMAGED` or `STORE_UNAVAILABLE`. */
  entry(id: string): MaybePromise<QueueEntry | undefined>;
  /**
   * The content, checked against its checksum (a spool file's while it is read, before its last piece); `undefined` when the
   * message is not here. Rejects with `STORE_DAMAGED` or `STORE_UNAVAILABLE`.
   */
  content(id: string): MaybePromise<Blob | undefined>;
  /** Is there room for a message of that size, counting those being committed? An estimate for an early 452; `commit` decides. */
  hasRoom(sizeBytes: number): boolean;
  /**
   * Resolves when message and content are on stable storage, with a schedule when it is to wait. Rejects with `STORE_FULL` or
   * `STORE_UNAVAILABLE`; then the message is not in the queue.
   */
  commit(message: QueuedMessage, content: Blob, schedule?: Schedule): Promise<void>;
  /**
   * Appends final outcomes of recipients by index; a second word about one is ignored. `entry` knows it at once; resolves when
   * durable and is tried again after a failure, so that it need not be waited for; no `commit` that is asked for later is durable before it.
   * It never rejects while the store is open.
   */
  settle(id: string, outcomes: readonly Settlement[]): Promise<void>;
  /** Notes attempts and the next due time. Need not be durable at once. */
  reschedule(id: string, schedule: Schedule): void;
  /** Forgets a message whose recipients are all settled, or that the operator removes. As `settle`, it may be left alone. */
  remove(id: string): Promise<void>;
  /** Writes what is pending and lets go of the folder. */
  close(): Promise<void>;
}
