/** State in memory: for tests, and where greylist and counters may start anew with the process. */
import type { Clock } from "../model/index.ts";
import { checkKey, encodeValue, expiryOf } from "./entry-rules.ts";
import type { StateSpace, StateStore, StateValue } from "./state-store.ts";

export interface MemoryStateOptions {
  readonly clock: Pick<Clock, "now">;
  /** Entries over all spaces; the oldest go when there are more. 1,000,000. */
  readonly maxEntries?: number;
}

interface Entry {
  /** JSON, so that nobody changes what another reads. */
  readonly text: string;
  readonly expiresAt: number;
}

export function createMemoryState(options: MemoryStateOptions): StateStore {
  return new MemoryState(options);
}

class MemoryState implements StateStore {
  readonly #spaces = new Map<string, MemorySpace>();
  readonly #clock: Pick<Clock, "now">;
  readonly #maxEntries: number;
  /** In the order of their writing, under space and key. */
  readonly #entries = new Map<string, Entry>();

  constructor({ clock, maxEntries = 1_000_000 }: MemoryStateOptions) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  space<V extends StateValue>(name: string): StateSpace<V> {
    let space = this.#spaces.get(name);
    if (space === undefined) {
      space = new MemorySpace(`${this.#spaces.size}:`, this.#entries, this.#clock, () => this.#evict());
      this.#spaces.set(name, space);
    }
    return space as unknown as StateSpace<V>;
  }

  sweep(): number {
    const now = this.#clock.now();
    let swept = 0;
    for (const [key, { expiresAt }] of this.#entries) {
      if (expiresAt > now) continue;
      this.#entries.delete(key);
      swept += 1;
    }
    return swept;
  }

  close(): void {
    this.#entries.clear();
  }

  #evict(): void {
    if (this.#entries.size <= this.#maxEntries) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}

class MemorySpace implements StateSpace {
  readonly #prefix: string;
  readonly #entries: Map<string, Entry>;
  readonly #clock: Pick<Clock, "now">;
  readonly #grown: () => void;

  constructor(prefix: string, entries: Map<string, Entry>, clock: Pick<Clock, "now">, grown: () => void) {
    this.#prefix = prefix;
    this.#entries = entries;
    this.#clock = clock;
    this.#grown = grown;
  }

  get(key: string): StateValue | undefined {
    const entry = this.#live(key);
    return entry && (JSON.parse(entry.text) as StateValue);
  }

  put(key: string, value: StateValue, ttlMs: number): void {
    this.#write(key, encodeValue(value), expiryOf(this.#clock.now(), ttlMs));
  }

  delete(key: string): void {
    checkKey(key);
    this.#entries.delete(this.#prefix + key);
  }

  update(
    key: string,
    ttlMs: number,
    change: (current: StateValue | undefined) => StateValue | undefined,
  ): StateValue | undefined {
    const next = change(this.get(key));
    if (next === undefined) this.delete(key);
    else this.put(key, next, ttlMs);
    return next;
  }

  increment(key: string, by: number, windowMs: number): number {
    const entry = this.#live(key);
    const current: unknown = entry && JSON.parse(entry.text);
    const sum = (typeof current === "number" ? current : 0) + by;
    this.#write(key, encodeValue(sum), entry?.expiresAt ?? expiryOf(this.#clock.now(), windowMs));
    return sum;
  }

  lease(key: string, owner: string, ttlMs: number): boolean {
    const holder = this.get(key);
    if (holder !== undefined && holder !== owner) return false;
    this.put(key, owner, ttlMs);
    return true;
  }

  scan(prefix: string, limit: number): readonly (readonly [key: string, value: StateValue])[] {
    checkKey(prefix);
    const now = this.#clock.now();
    const found: [string, StateValue][] = [];
    for (const [fullKey, { text, expiresAt }] of this.#entries) {
      if (expiresAt <= now || !fullKey.startsWith(this.#prefix + prefix)) continue;
      found.push([fullKey.slice(this.#prefix.length), JSON.parse(text) as StateValue]);
    }
    // The order of SQLite: by octets of UTF-8.
    found.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return found.slice(0, Math.max(0, limit));
  }

  #live(key: string): Entry | undefined {
    checkKey(key);
    const entry = this.#entries.get(this.#prefix + key);
    return entry !== undefined && entry.expiresAt > this.#clock.now() ? entry : undefined;
  }

  #write(key: string, text: string, expiresAt: number): void {
    checkKey(key);
    const fullKey = this.#prefix + key;
    this.#entries.delete(fullKey);
    this.#entries.set(fullKey, { text, expiresAt });
    this.#grown();
  }
}
