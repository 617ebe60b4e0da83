/** A space of the state store in a plugin's hand: named in setup, when nobody knows yet whose store it will be; open from ready on. */
import { PosternError } from "../errors.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { StateSpace, StateValue } from "../state/state-store.ts";

export class SpaceHandle<V extends StateValue> implements StateSpace<V> {
  readonly #find: () => StateSpace<V>;
  #space: StateSpace<V> | undefined;

  constructor(find: () => StateSpace<V>) {
    this.#find = find;
  }

  open(): void {
    this.#space ??= this.#find();
  }

  get(key: string): MaybePromise<V | undefined> {
    return this.#opened().get(key);
  }

  put(key: string, value: V, ttlMs: number): MaybePromise<void> {
    return this.#opened().put(key, value, ttlMs);
  }

  delete(key: string): MaybePromise<void> {
    return this.#opened().delete(key);
  }

  update(key: string, ttlMs: number, change: (current: V | undefined) => V | undefined): MaybePromise<V | undefined> {
    return this.#opened().update(key, ttlMs, change);
  }

  increment(key: string, by: number, windowMs: number): MaybePromise<number> {
    return this.#opened().increment(key, by, windowMs);
  }

  lease(key: string, owner: string, ttlMs: number): MaybePromise<boolean> {
    return this.#opened().lease(key, owner, ttlMs);
  }

  scan(prefix: string, limit: number): MaybePromise<readonly (readonly [key: string, value: V])[]> {
    return this.#opened().scan(prefix, limit);
  }

  #opened(): StateSpace<V> {
    if (this.#space === undefined)
      throw new PosternError("STORE_UNAVAILABLE", "the state store is not open before ready");
    return this.#space;
  }
}
