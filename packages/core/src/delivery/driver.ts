/**
 * Executes what the scheduler orders and tells it what came of it. The scheduler decides, the store remembers, transports
 * deliver; the driver only carries messages between them. It keeps nothing of a message between two rounds of attempts.
 */
import { TransientSet } from "../model/transient-map.ts";
import createDebug from "debug";
import { internalFault } from "./fault.ts";
import type { Guard } from "../guard/index.ts";
import {
  after,
  bounced,
  isPromise,
  parseDestination,
  type MaybePromise,
  type Outcome,
  type QueuedMessage,
  type Timer,
} from "../model/index.ts";
import {
  nextAttemptAt,
  onHold,
  retryDefaults,
  Scheduler,
  type QueueEntry,
  type ScheduleCommand,
  type ScheduleEvent,
} from "../queue/index.ts";
import { attemptDelivery } from "./attempt.ts";
import type { DeliveryGeneration, DeliveryHost, DeliveryOptions } from "./delivery-host.ts";
import { failuresOf, headOf, isHeld } from "./entry.ts";
import { findTransport } from "./own-transports.ts";
import { routeAtOnce, routeRecipients } from "./routing-round.ts";
import type { DeliveryReport } from "./transport.ts";

const debug = createDebug("postern:delivery");

type StartCommand = Extract<ScheduleCommand, { kind: "start" }>;

export class DeliveryDriver {
  readonly #host: DeliveryHost;
  readonly #guard: Guard;
  readonly #options: DeliveryOptions;
  readonly #scheduler: Scheduler;
  readonly #events: ScheduleEvent[] = [];
  #stepping = false;
  #timer: Timer | undefined;
  #closing = false;
  readonly #inHand = new TransientSet<AbortController>();
  /** Routings, reports to senders and removals under way. */
  #underWay = 0;
  #idle: (() => void) | undefined;
  /** Messages with a recipient that failed for good and of which the sender has not been told. */
  readonly #failed = new Set<string>();

  constructor(host: DeliveryHost, guard: Guard, options: DeliveryOptions) {
    this.#host = host;
    this.#guard = guard;
    this.#options = options;
    this.#scheduler = new Scheduler(options.scheduler);
  }

  get counts(): Scheduler["counts"] {
    return this.#scheduler.counts;
  }

  /** Takes up what was in the store at start. Once, after the store is open. */
  restore(): void {
    for (const { id, nextAttemptAt } of this.#host.store.waiting()) {
      if (nextAttemptAt === onHold) continue;
      this.#feed({ kind: "restored", id, dueAt: nextAttemptAt });
    }
  }

  /** A message was committed just now, and is not to be delivered yet. */
  enqueued(message: QueuedMessage): void {
    const generation = this.#host.acquire();
    tellEnqueued(message, generation);
    generation.release();
  }

  /** A message was committed just now. */
  added(message: QueuedMessage): void {
    const generation = this.#host.acquire();
    tellEnqueued(message, generation);
    const later = (): void => this.#feed({ kind: "restored", id: message.id, dueAt: this.#host.clock.now() });
    try {
      const pending = message.envelope.recipients.map((_, index) => index);
      const groups = routeAtOnce(message, pending, generation, this.#options.maxConcurrency);
      // A route that must be waited for is found in a round of its own, which counts how many are asked at once.
      if (groups === undefined) return later();
      this.#feed({ kind: "added", ...headOf(message), attempts: 0, groups });
    } catch {
      later(); // the round to come says why
    } finally {
      generation.release();
    }
  }

  /** Tries now: one message, one destination, or everything. */
  flush(only: { readonly id?: string; readonly destination?: string } = {}): void {
    this.#feed({ kind: "flush", ...only });
  }

  /** Begins nothing more of a message; what is in hand goes on. */
  forget(id: string): void {
    this.#feed({ kind: "forgotten", id });
  }

  /** A message that was forgotten is due now. */
  resume(id: string): void {
    this.#feed({ kind: "restored", id, dueAt: this.#host.clock.now() });
  }

  /** Takes a message out of the queue; nobody is told. */
  drop(id: string): void {
    this.forget(id);
    this.#failed.delete(id);
    this.#remove(id);
  }

  /** A new generation stands: what was not started is routed anew. */
  routesChanged(): void {
    this.#feed({ kind: "routesChanged" });
  }

  /**
   * Starts nothing more, waits for deliveries in hand up to `graceMs`, then aborts them. Resolves when nothing is in hand and what
   * came of it is in the store: reports to senders too.
   */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#timer?.cancel();
    if (this.#isIdle) return;
    const idle = new Promise<void>((resolve) => (this.#idle = resolve));
    const timer = this.#host.clock.setTimer(() => {
      for (const controller of this.#inHand) controller.abort();
    }, graceMs);
    await idle;
    timer.cancel();
  }

  get #isIdle(): boolean {
    return this.#inHand.size === 0 && this.#underWay === 0;
  }

  #wakeWhenIdle(): void {
    if (this.#isIdle) this.#idle?.();
  }

  /** Work that uses the store or a generation: `close` waits for its end. */
  #track(work: MaybePromise<void>): void {
    if (!isPromise(work)) return;
    this.#underWay += 1;
    void work.finally(() => {
      this.#underWay -= 1;
      this.#wakeWhenIdle();
    });
  }

  /** Events come while commands are carried out: one step after another, each one's commands in order. */
  #feed(event: ScheduleEvent): void {
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const commands = this.#scheduler.step(next, this.#host.clock.now(), this.#host.random);
        for (const command of commands) this.#execute(command);
      }
    } finally {
      this.#stepping = false;
    }
  }

  #execute(command: ScheduleCommand): void {
    if (this.#closing && command.kind !== "reschedule" && command.kind !== "done") return;
    debug("%o", command);
    switch (command.kind) {
      case "start":
        return void this.#deliver(command);
      case "route":
        return this.#track(this.#route(command.id));
      case "reschedule":
        return this.#host.store.reschedule(command.id, command.schedule);
      case "done":
        return this.#track(this.#finish(command.id));
      case "expire":
        return this.#track(this.#expire(command.id, command.reason));
      case "wakeAt":
        this.#timer?.cancel();
        this.#timer = this.#host.clock.setTimer(
          () => this.#feed({ kind: "timer" }),
          command.at - this.#host.clock.now(),
        );
    }
  }

  async #route(id: string): Promise<void> {
    let entry: QueueEntry | undefined;
    try {
      entry = await this.#host.store.entry(id);
      // Held where the scheduler does not look for single messages, or while its command was under way.
      if (entry === undefined || isHeld(entry)) return this.#feed({ kind: "forgotten", id });
      const { message, pending, schedule, settled } = entry;
      if (settled.some(({ outcome }) => outcome.status === "bounced")) this.#failed.add(id);
      const attempts = schedule?.attempts ?? 0;
      const groups = await this.#withGeneration((generation) =>
        routeRecipients(message, pending, generation, this.#options.maxConcurrency),
      );
      this.#feed({ kind: "routed", ...headOf(message), attempts, groups });
    } catch (error) {
      const known =
        entry === undefined ? { id } : { ...headOf(entry.message), attempts: entry.schedule?.attempts ?? 0 };
      this.#trouble(id, `cannot be routed: ${internalFault(error)}`);
      this.#feed({ kind: "unrouted", ...known, reason: "temporary failure in routing" });
    }
  }

  async #withGeneration<T>(use: (generation: DeliveryGeneration) => MaybePromise<T>): Promise<T> {
    const generation = this.#host.acquire();
    try {
      return await use(generation);
    } finally {
      generation.release();
    }
  }

  async #deliver({ delivery, id, destination, recipients, more }: StartCommand): Promise<void> {
    const controller = new AbortController();
    this.#inHand.add(controller);
    let pending: readonly number[] = recipients;
    let report: DeliveryReport = { destination: "alive", reason: "temporary failure inside" };
    try {
      const generation = this.#host.acquire();
      try {
        const result = await this.#attempt({ id, destination, recipients, more }, generation, controller);
        if (result !== undefined) ({ pending, report } = result);
      } finally {
        generation.release();
      }
    } catch (error) {
      this.#trouble(id, `delivery failed: ${internalFault(error)}`);
    }
    this.#inHand.delete(controller);
    this.#feed({ kind: "finished", delivery, pending, report });
    this.#wakeWhenIdle();
  }

  async #attempt(
    start: Pick<StartCommand, "id" | "destination" | "recipients" | "more">,
    generation: DeliveryGeneration,
    controller: AbortController,
  ): Promise<{ pending: readonly number[]; report: DeliveryReport } | undefined> {
    const { id, destination, recipients: indexes, more } = start;
    const { store, clock } = this.#host;
    const reading = store.entry(id);
    const entry = isPromise(reading) ? await reading : reading;
    const opening = store.content(id);
    const content = isPromise(opening) ? await opening : opening;
    if (entry === undefined || content === undefined) {
      // Removed by the operator meanwhile.
      this.#feed({ kind: "forgotten", id });
      return undefined;
    }
    const { message } = entry;
    const recipients = indexes
      .map((index) => message.envelope.recipients[index])
      .filter((known) => known !== undefined);
    const route = parseDestination(destination);
    const { owner, value: transport } = findTransport(route.transport, generation);
    const { hooks } = generation;
    const known = { class: "default" as const, ...route };
    if (hooks.delivery.attempt.tapped) hooks.delivery.attempt.call(message, recipients, known);
    const { envelope, origin } = message;
    const kept = { id, envelope, recipients, route, content, origin, more };
    const outbound = transport.outbound === true ? generation.rewriteOutbound : undefined;
    // Outcomes are told by position: the queue, the log and reports know the addresses as they were.
    const request = outbound === undefined ? kept : await outbound(kept);
    const result = await attemptDelivery(transport, request, {
      guard: this.#guard,
      clock,
      owner,
      controller,
      timeoutMs: this.#options.timeoutMs,
      settled: (position, outcome) => this.#settled(message, indexes[position] as number, outcome, generation),
    });
    if (hooks.delivery.finished.tapped) hooks.delivery.finished.call(message, known, result.report.destination);
    return { report: result.report, pending: result.pending.map((position) => indexes[position] as number) };
  }

  /** One recipient's outcome: persisted, told and logged as it comes. */
  #settled(message: QueuedMessage, index: number, outcome: Outcome, generation: DeliveryGeneration): void {
    const recipient = message.envelope.recipients[index];
    if (recipient === undefined) return;
    if (outcome.status !== "deferred") {
      if (outcome.status === "bounced") this.#failed.add(message.id);
      // The store tries again by itself; what is lost in a crash is delivered twice, not lost.
      void this.#host.store.settle(message.id, [{ index, outcome }]);
    }
    const hook = generation.hooks.queue[outcome.status];
    if (hook.tapped) hook.call(message, recipient, outcome);
    this.#host.log({
      kind: outcome.status,
      message,
      recipient,
      outcome,
      delayMs: this.#host.clock.now() - message.arrivedAt,
    });
  }

  /** Nobody is pending: the sender is told what failed, then the message goes. */
  #finish(id: string): MaybePromise<void> {
    if (!this.#failed.has(id)) return this.#remove(id);
    return this.#bounceAndRemove(id);
  }

  async #bounceAndRemove(id: string): Promise<void> {
    let entry: QueueEntry | undefined;
    try {
      entry = await this.#host.store.entry(id);
      if (entry !== undefined) await this.#bounce(entry);
      this.#failed.delete(id);
      this.#remove(id);
    } catch (error) {
      // Still in the store, all settled: the next round comes here again.
      this.#trouble(id, `sender cannot be told now: ${internalFault(error)}`);
      this.#later(id, entry);
    }
  }

  async #bounce(entry: QueueEntry): Promise<void> {
    const failures = failuresOf(entry);
    if (failures.length === 0) return;
    const { message } = entry;
    const content = await this.#host.store.content(message.id);
    const reportId = await this.#host.bounce(message, failures, content);
    if (reportId !== undefined) this.#host.log({ kind: "bounceSent", id: message.id, reportId });
  }

  /** The lifetime is over: whoever is pending bounces with what was last heard. */
  async #expire(id: string, reason: string): Promise<void> {
    let entry: QueueEntry | undefined;
    try {
      entry = await this.#host.store.entry(id);
      if (entry === undefined || isHeld(entry)) return;
      const { message, pending } = entry;
      const outcome = bounced(`delivery time expired: ${reason}`, { enhanced: "4.4.7" });
      await this.#withGeneration((generation) => {
        for (const index of pending) this.#settled(message, index, outcome, generation);
      });
      await this.#bounceAndRemove(id);
    } catch (error) {
      this.#trouble(id, `cannot be returned now: ${internalFault(error)}`);
      this.#later(id, entry);
    }
  }

  /** Another round when the queue would try the message again; of what cannot be read nothing is known. */
  #later(id: string, entry: QueueEntry | undefined): void {
    const { clock, random } = this.#host;
    const now = clock.now();
    const retry = this.#options.scheduler.retry ?? retryDefaults;
    const dueAt =
      entry === undefined ? now + retry.minimalMs : nextAttemptAt(retry, headOf(entry.message), now, random());
    this.#feed({ kind: "restored", id, dueAt });
  }

  #remove(id: string): void {
    const generation = this.#host.acquire();
    try {
      const hook = generation.hooks.queue.removed;
      if (hook.tapped) {
        const told = after(this.#host.store.entry(id), (entry) => entry && hook.call(entry.message));
        if (isPromise(told)) this.#track(told.catch(() => undefined));
      }
      void this.#host.store.remove(id);
      this.#host.log({ kind: "removed", id });
    } finally {
      generation.release();
    }
  }

  #trouble(id: string, text: string): void {
    this.#host.log({ kind: "troubled", id, text });
  }
}

function tellEnqueued(message: QueuedMessage, { hooks }: DeliveryGeneration): void {
  if (hooks.queue.enqueued.tapped) hooks.queue.enqueued.call(message);
}
