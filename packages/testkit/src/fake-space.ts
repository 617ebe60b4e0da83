/** A plugin's space of the state store, in memory, on a clock of your choice, that can be made to fail. */
import { createMemoryStateStore, PosternError, type Clock, type StateSpace, type StateValue } from "@postern/core";

export interface FakeSpace<V extends StateValue> extends StateSpace<V> {
  /** Live keys in order: what a plugin has left behind. */
  readonly keys: readonly string[];
  /** From now on every call throws `STORE_UNAVAILABLE`, as a lost database does; `false` ends that. */
  fail(failing?: boolean): void;
}

/** Core's own memory store, so that its limits hold here too. */
export function createFakeSpace<V extends StateValue>(clock: Clock): FakeSpace<V> {
  const space = createMemoryStateStore({ clock }).space<V>("fake");
  let failing = false;

  function reach(): StateSpace<V> {
    if (failing) throw new PosternError("STORE_UNAVAILABLE", "the store was made to fail");
    return space;
  }

  return {
    get: (key) => reach().get(key),
    put: (key, value, ttlMs) => reach().put(key, value, ttlMs),
    delete: (key) => reach().delete(key),
    update: (key, ttlMs, change) => reach().update(key, ttlMs, change),
    increment: (key, by, windowMs) => reach().increment(key, by, windowMs),
    lease: (key, owner, ttlMs) => reach().lease(key, owner, ttlMs),
    scan: (prefix, limit) => reach().scan(prefix, limit),
    get keys() {
      // Memory answers at once.
      const entries = space.scan("", Number.MAX_SAFE_INTEGER) as readonly (readonly [key: string, value: V])[];
      return entries.map(([key]) => key);
    },
    fail(now = true) {
      failing = now;
    },
  };
}
