/**
 * State that outlives a process and may be lost without losing mail: greylist triplets, counters, caches. All entries expire.
 * One contract for `node:sqlite`, memory, and stores shared between gateways that a plugin brings.
 */
import type { MaybePromise } from "../model/maybe-promise.ts";

/** JSON values. */
export type StateValue =
  string | number | boolean | null | readonly StateValue[] | { readonly [key: string]: StateValue };

/** One plugin's named space inside a state store. Keys up to 1,024 characters. Failures are `STORE_UNAVAILABLE`. */
export interface StateSpace<V extends StateValue = StateValue> {
  get(key: string): MaybePromise<V | undefined>;
  put(key: string, value: V, ttlMs: number): MaybePromise<void>;
  delete(key: string): MaybePromise<void>;
  /** Atomic read-modify-write. `change` gets the live value and returns the new one, or `undefined` to delete it. It may run more than once. */
  update(key: string, ttlMs: number, change: (current: V | undefined) => V | undefined): MaybePromise<V | undefined>;
  /** Adds `by` to a counter that starts anew each `windowMs`, aligned to its first increment, and no later when the clock was set back; returns the sum. */
  increment(key: string, by: number, windowMs: number): MaybePromise<number>;
  /** Takes a lease for `ttlMs` if nobody holds it or it ran out; true when `owner` holds it now. */
  lease(key: string, owner: string, ttlMs: number): MaybePromise<boolean>;
  /** Live entries whose key starts with `prefix`, in key order. */
  scan(prefix: string, limit: number): MaybePromise<readonly (readonly [key: string, value: V])[]>;
}

/** What its user knows of a space, and the store does not. */
export interface SpaceOptions {
  /**
   * A quota: beyond it those entries go first that expire first, soon if not at once. For a space that strangers can fill. Without it
   * only the bounds of the whole store hold.
   */
  readonly maxEntries?: number;
  /**
   * What is written is seen here at once, on the disk and by other processes up to a second later: a crash loses that second, and of two
   * processes that change one entry in it one may win. For what is written at each mail. Stores that gain nothing by it ignore it.
   */
  readonly lazy?: boolean;
}

export interface StateStore {
  /** A space of that name; two calls with one name share it, and its options are those of the last call that gave any. */
  space<V extends StateValue>(name: string, options?: SpaceOptions): StateSpace<V>;
  /**
   * Removes what has expired; returns how many. Called by the runtime now and then. However much it is, it works in slices of a few
   * milliseconds and lets others run in between.
   */
  sweep(): MaybePromise<number>;
  close(): MaybePromise<void>;
}
