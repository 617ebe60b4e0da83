/** A space whose writes go nowhere: what is read comes from another space, changed by what was written here. For dry runs. */
import { after, type MaybePromise } from "../model/maybe-promise.ts";
import type { Clock } from "../model/clock.ts";
import type { StateSpace, StateValue } from "./state-store.ts";

interface Kept<V> {
  /** `undefined`: deleted. */
  readonly value: V | undefined;
  readonly expiresAt: number;
}

export class OverlaySpace<V extends StateValue> implements StateSpace<V> {
  readonly #below: Pick<StateSpace<V>, "get" | "scan"> | undefined;
  readonly #clock: Pick<Clock, "now">;
  readonly #kept = new Map<string, Kept<V>>();

  /** `below` is only read; `undefined`: there is nothing. */
  constructor(below: Pick<StateSpace<V>, "get" | "scan"> | undefined, clock: Pick<Clock, "now">) {
    this.#below = below;
    this.#clock = clock;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#kept.clear();
  }

  get(key: string): MaybePromise<V | undefined> {
    const kept = this.#kept.get(key);
    if (kept === undefined) return this.#below?.get(key);
    return kept.expiresAt > this.#clock.now() ? kept.value : undefined;
  }

  put(key: string, value: V, ttlMs: number): void {
    this.#kept.set(key, { value, expiresAt: this.#clock.now() + ttlMs });
  }

  delete(key: string): void {
    this.#kept.set(key, { value: undefined, expiresAt: Infinity });
  }

  update(key: string, ttlMs: number, change: (current: V | undefined) => V | undefined): MaybePromise<V | undefined> {
    return after(this.get(key), (current) => {
      const next = change(current);
      if (next === undefined) this.delete(key);
      else this.put(key, next, ttlMs);
      return next;
    });
  }

  increment(key: string, by: number, windowMs: number): MaybePromise<number> {
    return after(this.get(key), (current) => {
      const sum = (typeof current === "number" ? current : 0) + by;
      this.put(key, sum as V, windowMs);
      return sum;
    });
  }

  lease(key: string, owner: string, ttlMs: number): MaybePromise<boolean> {
    return after(this.get(key), (holder) => {
      if (holder !== undefined && holder !== owner) return false;
      this.put(key, owner as V, ttlMs);
      return true;
    });
  }

  scan(prefix: string, limit: number): MaybePromise<readonly (readonly [key: string, value: V])[]> {
    return after(this.#below?.scan(prefix, limit + this.#kept.size), (below = []) => {
      const now = this.#clock.now();
      const found = new Map(below);
      for (const [key, { value, expiresAt }] of this.#kept) {
        if (!key.startsWith(prefix)) continue;
        if (value === undefined || expiresAt <= now) found.delete(key);
        else found.set(key, value);
      }
      return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).slice(0, limit);
    });
  }
}
