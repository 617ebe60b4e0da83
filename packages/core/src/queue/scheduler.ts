/**
 * What is tried when: due times, concurrency of each destination, dead destinations, fairness between them, lifetimes. No I/O,
 * no clock, no randomness of its own: the same events with the same times and numbers give the same commands.
 *
 * Memory is bounded by three places of a message. *Waiting*: an id and a due time. *Active*: its groups stand in the queues of their
 * destinations, at most `activeLimit` messages, and one destination has no more than a share of that. *Overflow*: an id in the
 * list of a destination whose share is used up, so that one slow destination never keeps the others from being read.
 * Every event costs O(log waiting) at most, but for `flush` and `routesChanged`, which touch everything.
 */
import { TransientMap, TransientSet } from "../model/transient-map.ts";
import {
  type ActiveMessage,
  concurrencyDefaults,
  type ConcurrencyOptions,
  type Destination,
  type Job,
} from "./destination.ts";
import { Destinations } from "./destinations.ts";
import { DueHeap } from "./due-heap.ts";
import { isExpired, nextAttemptAt, retryDefaults, type RetryOptions } from "./retry.ts";
import type {
  DeliveryGroup,
  DestinationReport,
  RoutedMessage,
  ScheduleCommand,
  ScheduleEvent,
} from "./schedule-events.ts";

export interface SchedulerOptions {
  readonly retry: RetryOptions;
  readonly concurrency: ConcurrencyOptions;
  /** Deliveries under way, over all destinations. */
  readonly maxDeliveries: number;
  /** Messages with groups in queues or under way (qmgr_message_active_limit). */
  readonly activeLimit: number;
  /** Part of `activeLimit` that one destination's queue may fill. */
  readonly destinationShare: number;
  /** `route` commands without an answer. */
  readonly maxRouting: number;
}

export const schedulerDefaults: SchedulerOptions = Object.freeze({
  retry: retryDefaults,
  concurrency: concurrencyDefaults,
  maxDeliveries: 500,
  activeLimit: 20_000,
  destinationShare: 0.1,
  maxRouting: 100,
});

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #share: number;
  readonly #waiting = new DueHeap();
  readonly #routing = new TransientSet<string>();
  readonly #active = new TransientMap<string, ActiveMessage>();
  readonly #destinations: Destinations;
  readonly #deliveries = new TransientMap<number, Job>();
  #lastDelivery = 0;
  #wakeAt = Infinity;
  // Of the step under way.
  #commands: ScheduleCommand[] = [];
  #now = 0;
  #random: () => number = () => 0;

  constructor(options: Partial<SchedulerOptions> = {}) {
    this.#options = { ...schedulerDefaults, ...options };
    this.#destinations = new Destinations(this.#options.concurrency);
    this.#share = Math.max(1, Math.floor(this.#options.activeLimit * this.#options.destinationShare));
  }

  /** Messages that wait for their time, those in a round of attempts, deliveries under way. */
  get counts(): { readonly waiting: number; readonly active: number; readonly deliveries: number } {
    let overflow = 0;
    for (const destination of this.#destinations.overflowing) overflow += destination.overflow.length;
    return {
      waiting: this.#waiting.size + this.#routing.size + overflow,
      active: this.#active.size,
      deliveries: this.#deliveries.size,
    };
  }

  /** Takes one event. `now` is wall clock milliseconds, `random` gives numbers in [0, 1). The commands are to be executed in order. */
  step(event: ScheduleEvent, now: number, random: () => number): readonly ScheduleCommand[] {
    this.#commands = [];
    this.#now = now;
    this.#random = random;
    this.#destinations.resume(now);
    this.#take(event);
    this.#pull();
    this.#start();
    this.#wake();
    return this.#commands;
  }

  #take(event: ScheduleEvent): void {
    switch (event.kind) {
      case "added":
        if (this.#isKnown(event.id)) return;
        if (this.#active.size >= this.#options.activeLimit) this.#waiting.set(event.id, this.#now);
        else this.#activate(event);
        return;
      case "restored":
        return this.#restore(event.id, event.dueAt);
      case "routed":
        // No longer asked for: forgotten meanwhile.
        if (this.#routing.delete(event.id)) this.#activate(event);
        return;
      case "unrouted":
        return this.#unrouted(event);
      case "forgotten":
        return this.#forget(event.id);
      case "finished":
        return this.#finish(event.delivery, event.pending, event.report);
      case "timer":
        this.#wakeAt = Infinity;
        return;
      case "flush":
        return this.#flush(event.id, event.destination);
      case "routesChanged":
        return this.#unroute();
    }
  }

  #isKnown(id: string): boolean {
    return this.#waiting.has(id) || this.#routing.has(id) || this.#active.get(id)?.forgotten === false;
  }

  #restore(id: string, dueAt: number): void {
    if (this.#isKnown(id)) return;
    const forgotten = this.#active.get(id);
    if (forgotten === undefined) {
      this.#waiting.set(id, dueAt);
      return;
    }
    // Deliveries of it are under way: what they leave pending is due when they are over, or it would be delivered twice.
    forgotten.forgotten = false;
    forgotten.rerouted = true;
  }

  #activate(routed: RoutedMessage): void {
    const { id, arrivedAt, bounce, attempts, groups } = routed;
    const [first] = groups;
    if (first === undefined) {
      this.#commands.push({ kind: "done", id });
      return;
    }
    if (groups.length === 1 && this.#overflows(id, arrivedAt, bounce, first)) return;
    const message: ActiveMessage = {
      id,
      arrivedAt,
      bounce,
      attempts,
      open: groups.length,
      groups: groups.length,
      deferred: 0,
      reason: undefined,
      retryAfterMs: undefined,
      forgotten: false,
      rerouted: false,
    };
    this.#active.set(id, message);
    for (const { destination: key, recipients, maxConcurrency } of groups) {
      const destination = this.#destinations.get(key, maxConcurrency);
      // A message that goes elsewhere too does not wait for a dead destination: its other recipients have their own retries.
      if (destination.deadReason !== undefined && groups.length > 1) {
        this.#endGroup(message, recipients.length, destination.deadReason, undefined);
      } else {
        destination.queue.push({ message, destination, recipients });
        this.#destinations.offer(destination);
      }
    }
  }

  /** Keeps no more than the id when the destination's share of active messages is used up. */
  #overflows(id: string, arrivedAt: number, bounce: boolean, group: DeliveryGroup): boolean {
    const destination = this.#destinations.get(group.destination, group.maxConcurrency);
    if (destination.queue.length < this.#share) return false;
    if (destination.deadReason !== undefined && isExpired(this.#options.retry, arrivedAt, bounce, this.#now)) {
      this.#commands.push({ kind: "expire", id, reason: destination.deadReason });
      return true;
    }
    destination.overflow.push({ id, arrivedAt, bounce });
    this.#destinations.overflowing.add(destination);
    return true;
  }

  /** Starts what may be started: one delivery a turn for each destination. */
  #start(): void {
    while (this.#deliveries.size < this.#options.maxDeliveries) {
      const destination = this.#destinations.take();
      if (destination === undefined) return;
      const job = this.#nextJob(destination);
      if (job !== undefined) this.#startJob(job);
      this.#destinations.offer(destination);
    }
  }

  #nextJob(destination: Destination): Job | undefined {
    for (let job = destination.queue.shift(); job !== undefined; job = destination.queue.shift()) {
      if (!job.message.forgotten) return job;
      this.#dropGroup(job.message);
    }
    return undefined;
  }

  #startJob(job: Job): void {
    const { destination, message, recipients } = job;
    this.#lastDelivery += 1;
    const delivery = this.#lastDelivery;
    this.#deliveries.set(delivery, job);
    destination.inFlight += 1;
    const more = destination.queue.length > 0;
    this.#commands.push({ kind: "start", delivery, id: message.id, destination: destination.key, recipients, more });
  }

  #finish(delivery: number, pending: readonly number[], report: DestinationReport): void {
    const job = this.#deliveries.get(delivery);
    if (job === undefined) return;
    this.#deliveries.delete(delivery);
    const { destination, message } = job;
    const { minimalMs, maximalMs } = this.#options.retry;
    const retryAfterMs = boundedWait(report.retryAfterMs, maximalMs);
    const died = destination.learn(report, retryAfterMs, this.#now, minimalMs, this.#options.concurrency);
    destination.inFlight -= 1;
    this.#destinations.pause(destination);
    const asked = report.destination === "alive" ? retryAfterMs : undefined;
    this.#endGroup(message, pending.length, report.reason, asked);
    if (died) this.#sift(destination);
    this.#destinations.offer(destination);
  }

  /** One group of a round is over. The last one ends the round. */
  #endGroup(message: ActiveMessage, deferred: number, reason: string | undefined, askedMs: number | undefined): void {
    message.deferred += deferred;
    if (deferred > 0) {
      message.reason = reason ?? message.reason;
      if (askedMs !== undefined) message.retryAfterMs = Math.min(askedMs, message.retryAfterMs ?? askedMs);
    }
    this.#dropGroup(message);
    if (message.open > 0 || message.forgotten) return;
    if (message.rerouted) this.#waiting.set(message.id, this.#now);
    else if (message.deferred === 0) this.#commands.push({ kind: "done", id: message.id });
    else this.#defer(message);
  }

  #dropGroup(message: ActiveMessage): void {
    message.open -= 1;
    if (message.open === 0 && this.#active.get(message.id) === message) this.#active.delete(message.id);
  }

  #defer(
    message: Pick<ActiveMessage, "id" | "arrivedAt" | "bounce" | "attempts"> & {
      reason?: string | undefined;
      retryAfterMs?: number | undefined;
    },
  ): void {
    const { id, reason } = message;
    const { retry } = this.#options;
    if (isExpired(retry, message.arrivedAt, message.bounce, this.#now)) {
      this.#commands.push({ kind: "expire", id, reason: reason ?? "not delivered in time" });
      return;
    }
    const due = nextAttemptAt(retry, message, this.#now, this.#random(), message.retryAfterMs);
    this.#waiting.set(id, due);
    const schedule = {
      attempts: message.attempts + 1,
      nextAttemptAt: due,
      ...(reason === undefined ? {} : { reason }),
    };
    this.#commands.push({ kind: "reschedule", id, schedule });
  }

  #unrouted(event: Extract<ScheduleEvent, { kind: "unrouted" }>): void {
    const { id, arrivedAt, bounce = false, attempts = 0, reason } = event;
    if (!this.#routing.delete(id)) return;
    if (arrivedAt !== undefined) this.#defer({ id, arrivedAt, bounce, attempts, reason });
    // Nothing is known of it, so nothing of what the store knows may be overwritten.
    else this.#waiting.set(id, this.#now + this.#options.retry.minimalMs);
  }

  /**
   * A destination has died. What goes there alone stays in its queue, unattempted, until a probe has succeeded; what goes
   * elsewhere too is deferred for that destination; what is older than its lifetime expires.
   */
  #sift(destination: Destination): void {
    const { retry } = this.#options;
    const reason = destination.deadReason ?? "destination is down";
    for (const job of destination.queue.drain()) {
      const { message } = job;
      if (message.forgotten) this.#dropGroup(message);
      else if (message.groups > 1 || isExpired(retry, message.arrivedAt, message.bounce, this.#now)) {
        this.#endGroup(message, job.recipients.length, reason, undefined);
      } else destination.queue.push(job);
    }
    for (let first = destination.overflow.peek(); first !== undefined; first = destination.overflow.peek()) {
      if (!isExpired(retry, first.arrivedAt, first.bounce, this.#now)) break;
      destination.overflow.shift();
      if (!this.#isKnown(first.id)) this.#commands.push({ kind: "expire", id: first.id, reason });
    }
  }

  /** Reads in what is due, as far as there is room. */
  #pull(): void {
    const { activeLimit, maxRouting } = this.#options;
    for (const destination of this.#destinations.overflowing) {
      while (
        this.#routing.size < maxRouting &&
        destination.queue.length < this.#share / 2 &&
        destination.pausedUntil === 0
      ) {
        const first = destination.overflow.shift();
        if (first === undefined) break;
        this.#route(first.id);
      }
      if (destination.overflow.length === 0) this.#destinations.overflowing.delete(destination);
    }
    while (this.#hasRoom(activeLimit, maxRouting)) {
      const id = this.#waiting.popDue(this.#now);
      if (id === undefined) return;
      this.#route(id);
    }
  }

  #hasRoom(activeLimit: number, maxRouting: number): boolean {
    return this.#routing.size < maxRouting && this.#active.size + this.#routing.size < activeLimit;
  }

  /** One that was forgotten and restored may stand in an overflow, too. */
  #route(id: string): void {
    if (this.#isKnown(id)) return;
    this.#routing.add(id);
    this.#commands.push({ kind: "route", id });
  }

  #wake(): void {
    const { activeLimit, maxRouting } = this.#options;
    // Without room the next answer or report comes here by itself.
    const waiting = this.#hasRoom(activeLimit, maxRouting) ? this.#waiting.firstDue : Infinity;
    const at = Math.min(this.#destinations.firstPauseEnd, waiting);
    if (at === this.#wakeAt || at === Infinity) return;
    this.#wakeAt = at;
    this.#commands.push({ kind: "wakeAt", at });
  }

  #forget(id: string): void {
    if (this.#waiting.delete(id) || this.#routing.delete(id)) return;
    const message = this.#active.get(id);
    if (message !== undefined) message.forgotten = true;
  }

  #flush(id: string | undefined, destination: string | undefined): void {
    if (id === undefined) {
      if (destination === undefined) this.#waiting.setAll(this.#now);
      this.#destinations.resumeEarly(destination);
    } else if (this.#waiting.has(id)) this.#waiting.set(id, this.#now);
    else if (this.#active.has(id)) this.#destinations.resumeEarly(undefined);
  }

  /** Takes back what has not been started; it is due at once. */
  #unroute(): void {
    for (const destination of this.#destinations) {
      for (const { message } of destination.queue.drain()) {
        this.#dropGroup(message);
        message.rerouted = true;
        if (message.open === 0 && !message.forgotten) this.#waiting.set(message.id, this.#now);
      }
      for (const { id } of destination.overflow.drain()) this.#restore(id, this.#now);
      this.#destinations.overflowing.delete(destination);
      this.#destinations.offer(destination);
    }
  }
}

/** A transport's number, whatever it is, within reason. */
function boundedWait(ms: number | undefined, maximalMs: number): number | undefined {
  if (ms === undefined || !Number.isFinite(ms)) return undefined;
  return Math.min(Math.max(ms, 0), maximalMs);
}
