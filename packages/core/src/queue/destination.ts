/**
 * One destination's share of the gateway: how many deliveries at a time, and whether it is alive. Postfix's feedback
 * (SCHEDULER_README, `qmgr_feedback`, `qmgr_queue_throttle`): the window opens by one after a window's worth of successes, closes
 * by one after a window's worth of failures, and a whole cohort of failures without a success in between means dead.
 */
import type { DestinationReport } from "./schedule-events.ts";
import { Fifo } from "./fifo.ts";

/** One group of recipients of an active message, queued or under way. */
export interface Job {
  readonly message: ActiveMessage;
  readonly destination: Destination;
  readonly recipients: readonly number[];
}

/** A message in its round of attempts. */
export interface ActiveMessage {
  readonly id: string;
  readonly arrivedAt: number;
  readonly bounce: boolean;
  readonly attempts: number;
  /** Groups without an end. */
  open: number;
  readonly groups: number;
  /** Recipients deferred in this round. */
  deferred: number;
  reason: string | undefined;
  retryAfterMs: number | undefined;
  /** Removed by the operator: what is under way ends, nothing else is begun. */
  forgotten: boolean;
  /** Routes changed in the middle: what was not started is due again when the rest is over. */
  rerouted: boolean;
}

export interface ConcurrencyOptions {
  /** Parallel deliveries to a destination nothing is known of (initial_destination_concurrency). */
  readonly initial: number;
  /** Cohorts of failures in a row that make a destination dead (destination_concurrency_failed_cohort_limit). */
  readonly failedCohorts: number;
}

export const concurrencyDefaults: ConcurrencyOptions = Object.freeze({ initial: 5, failedCohorts: 1 });

export class Destination {
  readonly key: string;
  readonly queue = new Fifo<Job>();
  /** Ids beyond the queue's share of memory, oldest first, with their arrival: read again when there is room. */
  readonly overflow = new Fifo<{ readonly id: string; readonly arrivedAt: number; readonly bounce: boolean }>();
  maxConcurrency: number;
  inFlight = 0;
  window: number;
  /** In the scheduler's ring of destinations that may start something. */
  listed = false;
  /** Wall clock; nothing is started until `probe`. 0 when it is not paused. */
  pausedUntil = 0;
  /** Why it is left alone; `undefined` while it is not dead. */
  deadReason: string | undefined;
  #successes = 0;
  #failures = 0;
  #failedCohorts = 0;
  #probing = false;

  constructor(key: string, maxConcurrency: number, options: ConcurrencyOptions) {
    this.key = key;
    this.maxConcurrency = maxConcurrency;
    this.window = Math.max(1, Math.min(options.initial, maxConcurrency));
  }

  /** Nobody waits for it and nothing is under way; a paused one is remembered until its pause is over. */
  get idle(): boolean {
    return this.inFlight === 0 && this.queue.length === 0 && this.overflow.length === 0 && this.pausedUntil === 0;
  }

  get mayStart(): boolean {
    return (
      this.queue.length > 0 && this.inFlight < Math.min(this.window, this.maxConcurrency) && this.pausedUntil === 0
    );
  }

  /** Its pause is over: one delivery tries whether it lives. */
  probe(): void {
    this.pausedUntil = 0;
    if (this.deadReason !== undefined) {
      this.deadReason = undefined;
      this.#probing = true;
      this.window = 1;
      this.#failedCohorts = 0;
    }
  }

  /** Takes a delivery's report; true when the destination is dead now. `deadMs` is how long it is left alone then, by default. */
  learn(
    report: DestinationReport,
    retryAfterMs: number | undefined,
    now: number,
    deadMs: number,
    options: ConcurrencyOptions,
  ): boolean {
    if (report.destination === "alive") {
      this.probe(); // a late success while it counts as dead
      this.#succeed(options);
      return false;
    }
    this.#failedCohorts += 1 / this.window;
    this.#fail();
    if (report.destination === "dead" && (this.#probing || this.#failedCohorts >= options.failedCohorts - 1e-9)) {
      this.pausedUntil = now + Math.max(1000, retryAfterMs ?? deadMs);
      this.deadReason = report.reason ?? "destination is down";
      return true;
    }
    if (retryAfterMs !== undefined) this.pausedUntil = Math.max(this.pausedUntil, now + retryAfterMs);
    return false;
  }

  #succeed(options: ConcurrencyOptions): void {
    this.#failedCohorts = 0;
    if (this.#probing) {
      this.#probing = false;
      this.window = Math.max(1, Math.min(options.initial, this.maxConcurrency));
      this.#successes = 0;
      this.#failures = 0;
      return;
    }
    // As Postfix: a window that is not used does not grow far beyond its use.
    if (this.window >= this.maxConcurrency || this.window >= this.inFlight + options.initial) return;
    this.#successes += 1 / this.window;
    if (this.#successes >= 1 - 1e-9) {
      this.window += 1;
      this.#successes = 0;
      this.#failures = 0;
    }
  }

  #fail(): void {
    this.#failures += 1 / this.window;
    if (this.#failures >= 1 - 1e-9) {
      this.window = Math.max(1, this.window - 1);
      this.#failures = 0;
      this.#successes = 0;
    }
  }
}
