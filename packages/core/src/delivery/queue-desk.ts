/** What an operator sees of the queue and does with single messages: list, hold, release, remove. */
import { ConfigError } from "../errors.ts";
import type { Clock } from "../model/index.ts";
import { onHold, type QueueEntry, type QueueStore, type WaitingMessage } from "../queue/index.ts";
import type { DeliveryDriver } from "./driver.ts";
import { isHeld } from "./entry.ts";

export interface QueueListing {
  readonly id: string;
  /** `held`, else `deferred` after a failed attempt, else `active`: on its way. */
  readonly state: "held" | "deferred" | "active";
  readonly arrivedAt: number;
  readonly sizeBytes: number;
  readonly sender: string;
  /** Those without a final outcome; no more than 100 of them. */
  readonly recipients: readonly string[];
  readonly recipientCount: number;
  readonly attempts: number;
  /** Wall clock, milliseconds; absent when it is held or was not deferred. */
  readonly nextAttemptAt?: number;
  /** Why it is held or was deferred. */
  readonly reason?: string;
}

export interface QueueListOptions {
  readonly heldOnly?: boolean;
  /** 1,000 unless given. */
  readonly limit?: number;
}

const defaultLimit = 1000;
const mostRecipients = 100;

export class QueueDesk {
  readonly #store: QueueStore;
  readonly #driver: Pick<DeliveryDriver, "forget" | "resume" | "drop">;
  readonly #clock: Pick<Clock, "now">;

  constructor(
    store: QueueStore,
    driver: Pick<DeliveryDriver, "forget" | "resume" | "drop">,
    clock: Pick<Clock, "now">,
  ) {
    this.#store = store;
    this.#driver = driver;
    this.#clock = clock;
  }

  /** Reads each message's record; what leaves meanwhile is left out. */
  async list({ heldOnly = false, limit = defaultLimit }: QueueListOptions): Promise<readonly QueueListing[]> {
    const chosen: WaitingMessage[] = [];
    for (const waiting of this.#store.waiting()) {
      if (chosen.length >= limit) break;
      if (!heldOnly || waiting.nextAttemptAt === onHold) chosen.push({ ...waiting });
    }
    const listed: QueueListing[] = [];
    for (const { id } of chosen) {
      const entry = await this.#store.entry(id);
      if (entry !== undefined) listed.push(describe(entry));
    }
    return listed;
  }

  /** Nothing more of it is begun. Throws `ConfigError` when it is not in the queue. */
  async hold(id: string): Promise<void> {
    const { schedule } = await this.#find(id);
    this.#driver.forget(id);
    this.#store.reschedule(id, { attempts: schedule?.attempts ?? 0, nextAttemptAt: onHold, reason: "by the operator" });
  }

  /** It is tried at once. Throws `ConfigError` when it is not in the queue or not held. */
  async release(id: string): Promise<void> {
    const entry = await this.#find(id);
    if (!isHeld(entry)) throw new ConfigError(`message ${id} is not on hold`);
    this.#store.reschedule(id, { attempts: entry.schedule?.attempts ?? 0, nextAttemptAt: this.#clock.now() });
    this.#driver.resume(id);
  }

  /** Nobody is told. Throws `ConfigError` when it is not in the queue. */
  async remove(id: string): Promise<void> {
    await this.#find(id);
    this.#driver.drop(id);
  }

  async #find(id: string): Promise<QueueEntry> {
    const entry = await this.#store.entry(id);
    if (entry === undefined) throw new ConfigError(`no message ${id.slice(0, 64)} is in the queue`);
    return entry;
  }
}

function describe(entry: QueueEntry): QueueListing {
  const { message, pending, schedule } = entry;
  const { id, arrivedAt, sizeBytes, envelope } = message;
  const held = isHeld(entry);
  const state = held ? "held" : schedule === undefined ? "active" : "deferred";
  return {
    id,
    state,
    arrivedAt,
    sizeBytes,
    sender: envelope.sender,
    recipients: pending.slice(0, mostRecipients).map((index) => envelope.recipients[index]?.address ?? ""),
    recipientCount: pending.length,
    attempts: schedule?.attempts ?? 0,
    ...(schedule === undefined || held ? {} : { nextAttemptAt: schedule.nextAttemptAt }),
    ...(schedule?.reason === undefined ? {} : { reason: schedule.reason }),
  };
}
