/** A space of a store whose entries can be compared and replaced: limits, JSON, lifetimes, counters and leases in one place for all stores. */
import { PosternError } from "../errors.ts";
import type { Clock } from "../model/clock.ts";
import type { Entry, EntryTable } from "./entry-table.ts";
import { checkKey, checkLimit, checkPrefix, checkQuota, checkSpaceName, expiryOf } from "./limits.ts";
import type { SpaceOptions, StateSpace, StateValue } from "./state-store.ts";
import { decodeFound, encodeValue, valueOf } from "./values.ts";

/** Somebody succeeds each time another fails, so this many failures in a row are no accident. */
const maxTries = 1000;

export class TableSpace<V extends StateValue> implements StateSpace<V> {
  readonly #name: string;
  readonly #table: EntryTable;
  readonly #clock: Pick<Clock, "now">;

  /** Throws RangeError for a name that no space can have. */
  constructor(name: string, table: EntryTable, clock: Pick<Clock, "now">, { maxEntries }: SpaceOptions = {}) {
    checkSpaceName(name);
    if (maxEntries !== undefined) table.limit(name, checkQuota(maxEntries));
    this.#name = name;
    this.#table = table;
    this.#clock = clock;
  }

  get(key: string): V | undefined {
    checkKey(key);
    return valueOf(this.#table.read(this.#name, key, this.#clock.now())) as V | undefined;
  }

  put(key: string, value: V, ttlMs: number): void {
    checkKey(key);
    const expiresAt = expiryOf(this.#clock.now(), ttlMs);
    this.#table.write(this.#name, key, { text: encodeValue(value), expiresAt });
  }

  delete(key: string): void {
    checkKey(key);
    this.#table.remove(this.#name, key);
  }

  update(key: string, ttlMs: number, change: (current: V | undefined) => V | undefined): V | undefined {
    let value: V | undefined;
    this.#swap(key, (found, now) => {
      value = change(valueOf(found) as V | undefined);
      const expiresAt = expiryOf(now, ttlMs);
      return value === undefined ? undefined : { text: encodeValue(value), expiresAt };
    });
    return value;
  }

  increment(key: string, by: number, windowMs: number): number {
    if (!Number.isFinite(by)) throw new RangeError("a counter grows by a number");
    let sum = by;
    this.#swap(key, (found, now) => {
      const count = valueOf(found);
      const counting = found !== undefined && typeof count === "number";
      sum = counting ? count + by : by;
      const latest = expiryOf(now, windowMs);
      // A window that ends later was begun before the clock was set back.
      return { text: encodeValue(sum), expiresAt: counting ? Math.min(found.expiresAt, latest) : latest };
    });
    return sum;
  }

  lease(key: string, owner: string, ttlMs: number): boolean {
    const text = encodeValue(owner);
    let held = false;
    this.#swap(key, (found, now) => {
      held = found === undefined || found.text === text;
      return held ? { text, expiresAt: expiryOf(now, ttlMs) } : found;
    });
    return held;
  }

  scan(prefix: string, limit: number): readonly (readonly [key: string, value: V])[] {
    checkPrefix(prefix);
    checkLimit(limit);
    return decodeFound(this.#table.range(this.#name, prefix, limit, this.#clock.now())) as readonly (readonly [
      string,
      V,
    ])[];
  }

  /** Puts what `next` makes of the live entry in its place; asks again when another was faster. The same entry again: nothing to do. */
  #swap(key: string, next: (found: Entry | undefined, now: number) => Entry | undefined): void {
    checkKey(key);
    for (let tries = 0; tries < maxTries; tries++) {
      const now = this.#clock.now();
      const found = this.#table.read(this.#name, key, now);
      const made = next(found, now);
      if (made === found || this.#table.replace(this.#name, key, found?.text, made, now)) return;
    }
    throw new PosternError("STORE_UNAVAILABLE", "the state store cannot change an entry that others keep changing");
  }
}
