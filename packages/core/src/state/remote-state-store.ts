/** State somewhere else, as a plugin brings it: limits, JSON, lifetimes and leases as every store has them, over what a database can do. */
import { PosternError } from "../errors.ts";
import type { Clock } from "../model/clock.ts";
import type { Entry } from "./entry-table.ts";
import { checkKey, checkLimit, checkPrefix, checkQuota, checkSpaceName, expiryOf } from "./limits.ts";
import type { RemoteEntries } from "./remote-entries.ts";
import type { SpaceOptions, StateSpace, StateStore, StateValue } from "./state-store.ts";
import { decodeFound, encodeValue, valueOf } from "./values.ts";

/** Somebody succeeds each time another fails, so this many failures in a row are no accident. */
const maxTries = 100;

/** `clock` is this process's: gateways that share a database have their clocks set by NTP. */
export function createRemoteStateStore(entries: RemoteEntries, clock: Pick<Clock, "now">): StateStore {
  const turns = new Turns();
  let closed: Promise<void> | undefined;
  return Object.freeze<StateStore>({
    space<V extends StateValue>(name: string, options?: SpaceOptions): StateSpace<V> {
      return new RemoteSpace<V>(name, entries, clock, turns, options);
    },
    sweep: () => entries.sweep(clock.now()),
    close: () => (closed ??= entries.close()),
  });
}

class RemoteSpace<V extends StateValue> implements StateSpace<V> {
  readonly #name: string;
  readonly #entries: RemoteEntries;
  readonly #clock: Pick<Clock, "now">;
  readonly #turns: Turns;

  constructor(
    name: string,
    entries: RemoteEntries,
    clock: Pick<Clock, "now">,
    turns: Turns,
    { maxEntries }: SpaceOptions = {},
  ) {
    checkSpaceName(name);
    if (maxEntries !== undefined) entries.limit(name, checkQuota(maxEntries));
    this.#name = name;
    this.#entries = entries;
    this.#clock = clock;
    this.#turns = turns;
  }

  async get(key: string): Promise<V | undefined> {
    checkKey(key);
    return valueOf(await this.#entries.read(this.#name, key, this.#clock.now())) as V | undefined;
  }

  put(key: string, value: V, ttlMs: number): Promise<void> {
    checkKey(key);
    const expiresAt = expiryOf(this.#clock.now(), ttlMs);
    return this.#entries.write(this.#name, key, { text: encodeValue(value), expiresAt });
  }

  delete(key: string): Promise<void> {
    checkKey(key);
    return this.#entries.remove(this.#name, key);
  }

  async update(key: string, ttlMs: number, change: (current: V | undefined) => V | undefined): Promise<V | undefined> {
    let value: V | undefined;
    await this.#swap(key, (found, now) => {
      value = change(valueOf(found) as V | undefined);
      const expiresAt = expiryOf(now, ttlMs);
      return value === undefined ? undefined : { text: encodeValue(value), expiresAt };
    });
    return value;
  }

  increment(key: string, by: number, windowMs: number): Promise<number> {
    checkKey(key);
    if (!Number.isFinite(by)) throw new RangeError("a counter grows by a number");
    const now = this.#clock.now();
    return this.#entries.add(this.#name, key, by, expiryOf(now, windowMs), now);
  }

  async lease(key: string, owner: string, ttlMs: number): Promise<boolean> {
    const text = encodeValue(owner);
    let held = false;
    await this.#swap(key, (found, now) => {
      held = found === undefined || found.text === text;
      return held ? { text, expiresAt: expiryOf(now, ttlMs) } : found;
    });
    return held;
  }

  async scan(prefix: string, limit: number): Promise<readonly (readonly [key: string, value: V])[]> {
    checkPrefix(prefix);
    checkLimit(limit);
    return decodeFound(await this.#entries.range(this.#name, prefix, limit, this.#clock.now())) as readonly (readonly [
      string,
      V,
    ])[];
  }

  /** Puts what `next` makes of the live entry in its place; asks again when another was faster. The same entry again: nothing to do. */
  #swap(key: string, next: (found: Entry | undefined, now: number) => Entry | undefined): Promise<void> {
    checkKey(key);
    // Those of this process one after another: only other processes can be faster.
    return this.#turns.take(`${this.#name.length}:${this.#name}${key}`, async () => {
      for (let tries = 0; tries < maxTries; tries++) {
        const now = this.#clock.now();
        const found = await this.#entries.read(this.#name, key, now);
        const made = next(found, now);
        if (made === found || (await this.#entries.replace(this.#name, key, found?.text, made, now))) return;
      }
      throw new PosternError("STORE_UNAVAILABLE", "the state store cannot change an entry that others keep changing");
    });
  }
}

/** Calls by key, one after another. Bounded by the calls that wait. */
class Turns {
  readonly #last = new Map<string, Promise<void>>();

  take(key: string, call: () => Promise<void>): Promise<void> {
    const before = this.#last.get(key);
    const turn = before === undefined ? call() : before.catch(() => undefined).then(call);
    this.#last.set(key, turn);
    const over = (): void => {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    };
    turn.then(over, over);
    return turn;
  }
}
