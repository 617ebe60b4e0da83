/**
 * How often something happened in a window of time, counted at once here and added to the state store once a second, so that no
 * session waits for a store and gateways that share one know of each other's counts a second later. Without the store the
 * counting goes on alone.
 */
import { dropOldest, isPromise, type Clock, type StateSpace, type Timer } from "@postern/core";
import type { Rate } from "./rate.ts";

export type RateSpace = Pick<StateSpace<number>, "increment">;

interface Count {
  /** As the store said it last. */
  stored: number;
  /** Since then. */
  pending: number;
  readonly windowMs: number;
  /** Monotonic. */
  readonly endsAt: number;
}

/** Keys that are counted here; of more the oldest are forgotten, which the store still has. */
const mostKeys = 100_000;
const dropped = 500;
const flushEveryMs = 1000;
/** Written in one turn of the event loop. */
const perTurn = 100;

export class SharedRates {
  readonly #space: RateSpace;
  readonly #clock: Clock;
  readonly #troubled: (error: unknown) => void;
  readonly #counts = new Map<string, Count>();
  readonly #dirty = new Set<string>();
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;

  constructor(space: RateSpace, clock: Clock, troubled: (error: unknown) => void) {
    this.#space = space;
    this.#clock = clock;
    this.#troubled = troubled;
  }

  /** Counts one more; true when it is more than the rate allows. */
  exceeds(key: string, { most, windowMs }: Rate): boolean {
    const now = this.#clock.monotonic();
    let count = this.#counts.get(key);
    if (count === undefined || now >= count.endsAt) {
      this.#counts.delete(key);
      count = { stored: 0, pending: 0, windowMs, endsAt: now + windowMs };
      this.#counts.set(key, count);
      if (this.#counts.size > mostKeys) this.#forgetOldest();
    }
    count.pending += 1;
    this.#dirty.add(key);
    this.#arm();
    return count.stored + count.pending > most;
  }

  /** Adds to the store what it does not know; what it does not take now is tried again. Never rejects. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
      // Counted meanwhile, or not taken.
      if (this.#dirty.size > 0) this.#arm();
    });
    return this.#flushing;
  }

  /** The last flush; what the store does not take is lost. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.flush();
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimer(() => void this.flush(), flushEveryMs);
  }

  async #flush(): Promise<void> {
    for (const [at, key] of [...this.#dirty].entries()) {
      const count = this.#counts.get(key);
      this.#dirty.delete(key);
      if (count === undefined) continue;
      const { pending } = count;
      try {
        const sum = this.#space.increment(key, pending, count.windowMs);
        count.stored = isPromise(sum) ? await sum : sum;
        count.pending -= pending;
      } catch (error) {
        this.#troubled(error);
        this.#dirty.add(key);
        return;
      }
      if (at % perTurn === perTurn - 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #forgetOldest(): void {
    for (const oldest of dropOldest(this.#counts, dropped)) this.#dirty.delete(oldest);
  }
}
