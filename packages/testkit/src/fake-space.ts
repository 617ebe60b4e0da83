/** A plugin's space of the state store, in memory, on a clock of your choice, that can be made to fail. */
import { PosternError, type Clock, type StateSpace, type StateValue } from "@postern/core";

export interface FakeSpace<V extends StateValue> extends StateSpace<V> {
  /** Live keys in order: what a plugin has left behind. */
  readonly keys: readonly string[];
  /** From now on every call throws `STORE_UNAVAILABLE`, as a lost database does; `false` ends that. */
  fail(failing?: boolean): void;
}

export function createFakeSpace<V extends StateValue>(clock: Clock): FakeSpace<V> {
  const entries = new Map<string, { readonly value: unknown; readonly expiresAt: number }>();
  let failing = false;

  function live(key: string): unknown {
    if (failing) throw new PosternError("STORE_UNAVAILABLE", "the store was made to fail");
    if (key.length > 1024) throw new RangeError("a key has at most 1,024 characters");
    const entry = entries.get(key);
    if (entry === undefined || entry.expiresAt > clock.now()) return entry?.value;
    entries.delete(key);
  }
  function set(key: string, value: unknown, ttlMs: number): void {
    entries.set(key, { value: structuredClone(value), expiresAt: clock.now() + ttlMs });
  }
  const liveKeys = (): string[] => [...entries.keys()].filter((key) => live(key) !== undefined).toSorted();

  return {
    get: (key) => live(key) as V | undefined,
    put(key, value, ttlMs) {
      live(key);
      set(key, value, ttlMs);
    },
    delete(key) {
      live(key);
      entries.delete(key);
    },
    update(key, ttlMs, change) {
      const value = change(live(key) as V | undefined);
      if (value === undefined) entries.delete(key);
      else set(key, value, ttlMs);
      return value;
    },
    increment(key, by, windowMs) {
      const current = live(key);
      const expiresAt = entries.get(key)?.expiresAt ?? clock.now() + windowMs;
      const sum = (typeof current === "number" ? current : 0) + by;
      entries.set(key, { value: sum, expiresAt });
      return sum;
    },
    lease(key, owner, ttlMs) {
      const holder = live(key);
      if (holder !== undefined && holder !== owner) return false;
      set(key, owner, ttlMs);
      return true;
    },
    scan(prefix, limit) {
      const keys = liveKeys().filter((key) => key.startsWith(prefix));
      return keys.slice(0, limit).map((key) => [key, live(key) as V] as const);
    },
    get keys() {
      return liveKeys();
    },
    fail(now = true) {
      failing = now;
    },
  };
}
