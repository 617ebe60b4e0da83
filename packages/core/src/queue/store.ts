/**
 * The queue store's contract. `commit` resolves when the message is on stable storage: only then may 250 be sent
 * (RFC 5321 §6.1). What it took it keeps until every recipient is settled and `remove` was said.
 */
import type { Blob } from "../message/blob.ts";
import type { Outcome, QueuedMessage } from "../model/index.ts";

/** What the scheduler must know to try again; kept across restarts, on a best-effort basis. */
export interface Schedule {
  /** Attempts so far. */
  readonly attempts: number;
  /** Wall clock, milliseconds since 1970. */
  readonly nextAttemptAt: number;
  /** Last deferral, one line, for bounces after the lifetime and for queue listings. */
  readonly reason?: string;
}

/** A waiting message: what is kept in memory for each. Recipients not listed in `pending` are settled. */
export interface QueueEntry {
  readonly message: QueuedMessage;
  /** Indexes into `message.envelope.recipients` that have no final outcome. */
  readonly pending: readonly number[];
  readonly schedule: Schedule | undefined;
}

export interface QueueStore {
  /** Takes the folder, replays, and gives what waits. `STORE_LOCKED` when a living process has it; a dead one's lock is taken. Once, first. */
  open(): Promise<readonly QueueEntry[]>;
  /** Resolves when message and content are on stable storage. Rejects with `STORE_FULL` or `STORE_UNAVAILABLE`; then the message is not in the queue. */
  commit(message: QueuedMessage, content: Blob): Promise<void>;
  /** Appends final outcomes (delivered, bounced) of recipients by index. Resolves when durable; never needs to be waited for. */
  settle(id: string, outcomes: readonly { readonly index: number; readonly outcome: Outcome }[]): Promise<void>;
  /** Notes attempts and the next due time. Need not be durable at once. */
  reschedule(id: string, schedule: Schedule): void;
  /** The content; `undefined` when the message is not here. */
  content(id: string): Promise<Blob | undefined>;
  /** Forgets a message whose recipients are all settled, or that the operator removes. */
  remove(id: string): Promise<void>;
  /** Writes what is pending and lets go of the folder. */
  close(): Promise<void>;
}
