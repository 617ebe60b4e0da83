/**
 * All destinations anybody waits for: found by key, taken in turn, left alone while paused, remembered for a while when idle.
 */
import { type ConcurrencyOptions, Destination } from "./destination.ts";
import { DueHeap } from "./due-heap.ts";
import { Fifo } from "./fifo.ts";

/** Destinations nobody waits for, kept for what was learnt about them. */
const rememberedDestinations = 1000;

export class Destinations {
  readonly #options: ConcurrencyOptions;
  readonly #byKey = new Map<string, Destination>();
  readonly #idle = new Set<Destination>();
  readonly #paused = new DueHeap();
  /** Those that may start something, in turn. */
  readonly #ready = new Fifo<Destination>();
  /** Those with ids in overflow. */
  readonly overflowing = new Set<Destination>();

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): IterableIterator<Destination> {
    return this.#byKey.values();
  }

  /** Wall clock of the first pause's end; `Infinity` when none is paused. */
  get firstPauseEnd(): number {
    return this.#paused.firstDue;
  }

  get(key: string, maxConcurrency: number): Destination {
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.maxConcurrency = maxConcurrency;
      this.#idle.delete(known);
      return known;
    }
    const fresh = new Destination(key, maxConcurrency, this.#options);
    this.#byKey.set(key, fresh);
    return fresh;
  }

  /** The next that may start something; it stands at the end of the ring again once it is `offer`ed. */
  take(): Destination | undefined {
    for (let first = this.#ready.shift(); first !== undefined; first = this.#ready.shift()) {
      first.listed = false;
      if (first.mayStart) return first;
    }
    return undefined;
  }

  /** After any change of a destination: into the ring if it may start something, among the idle if it has nothing to do. */
  offer(destination: Destination): void {
    if (destination.mayStart) {
      if (destination.listed) return;
      destination.listed = true;
      this.#ready.push(destination);
    } else if (destination.idle) {
      this.#idle.add(destination);
      if (this.#idle.size > rememberedDestinations) this.#forgetOldest();
    }
  }

  /** Holds a destination until its `pausedUntil`. */
  pause(destination: Destination): void {
    if (destination.pausedUntil > 0) this.#paused.set(destination.key, destination.pausedUntil);
  }

  /** Ends the pauses that are over at `now`. */
  resume(now: number): void {
    for (let key = this.#paused.popDue(now); key !== undefined; key = this.#paused.popDue(now)) this.#probe(key);
  }

  /** Ends pauses before their time: of one destination or of all. */
  resumeEarly(only: string | undefined): void {
    const keys = only === undefined ? Array.from(this.#paused.keys()) : [only];
    for (const key of keys) if (this.#paused.delete(key)) this.#probe(key);
  }

  #probe(key: string): void {
    const destination = this.#byKey.get(key);
    if (destination === undefined) return;
    destination.probe();
    this.offer(destination);
  }

  #forgetOldest(): void {
    for (const oldest of this.#idle) {
      this.#idle.delete(oldest);
      this.#byKey.delete(oldest.key);
      return;
    }
  }
}
