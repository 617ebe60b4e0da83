/** Entries in memory, within bounds: when there is no room, the largest space loses what was written longest ago. */
import type { Entry, EntryTable } from "./entry-table.ts";
import { closedStore } from "./store-fault.ts";

type SpaceEntries = Map<string, Entry>;

export class MemoryEntries implements EntryTable {
  /** Each map in the order of writing. */
  readonly #spaces = new Map<string, SpaceEntries>();
  readonly #maxEntries: number;
  readonly #maxLength: number;
  #count = 0;
  /** UTF-16 units of keys and texts. */
  #length = 0;
  #closed = false;

  constructor(maxEntries: number, maxLength: number) {
    this.#maxEntries = maxEntries;
    this.#maxLength = maxLength;
  }

  read(space: string, key: string, now: number): Entry | undefined {
    const entry = this.#entriesOf(space)?.get(key);
    return entry !== undefined && entry.expiresAt > now ? entry : undefined;
  }

  write(space: string, key: string, entry: Entry): void {
    this.remove(space, key);
    let entries = this.#spaces.get(space);
    if (entries === undefined) this.#spaces.set(space, (entries = new Map()));
    entries.set(key, entry);
    this.#count++;
    this.#length += key.length + entry.text.length;
    while (this.#count > this.#maxEntries || (this.#length > this.#maxLength && this.#count > 1)) this.#dropOldest();
  }

  remove(space: string, key: string): void {
    const entries = this.#entriesOf(space);
    if (entries !== undefined) this.#drop(space, entries, key);
  }

  replace(space: string, key: string, expected: string | undefined, next: Entry | undefined, now: number): boolean {
    if (this.read(space, key, now)?.text !== expected) return false;
    if (next === undefined) this.remove(space, key);
    else this.write(space, key, next);
    return true;
  }

  range(space: string, prefix: string, limit: number, now: number): readonly (readonly [string, string])[] {
    const found: (readonly [string, string])[] = [];
    for (const [key, { text, expiresAt }] of this.#entriesOf(space) ?? []) {
      if (expiresAt > now && key.startsWith(prefix)) found.push([key, text]);
    }
    return found.sort(([a], [b]) => compareCodePoints(a, b)).slice(0, limit);
  }

  /** Removes what has expired; returns how many. */
  sweep(now: number): number {
    if (this.#closed) throw closedStore();
    const before = this.#count;
    for (const [space, entries] of this.#spaces) {
      for (const [key, { expiresAt }] of entries) if (expiresAt <= now) this.#drop(space, entries, key);
    }
    return before - this.#count;
  }

  close(): void {
    this.#closed = true;
    this.#spaces.clear();
  }

  #entriesOf(space: string): SpaceEntries | undefined {
    if (this.#closed) throw closedStore();
    return this.#spaces.get(space);
  }

  #dropOldest(): void {
    let largest: readonly [string, SpaceEntries] | undefined;
    for (const one of this.#spaces) if (largest === undefined || one[1].size > largest[1].size) largest = one;
    if (largest === undefined) return;
    const [space, entries] = largest;
    for (const key of entries.keys()) return this.#drop(space, entries, key);
  }

  #drop(space: string, entries: SpaceEntries, key: string): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    this.#count--;
    this.#length -= key.length + entry.text.length;
    if (entries.size === 0) this.#spaces.delete(space);
  }
}

/** The order of UTF-8 octets, which databases have. JavaScript's own puts U+10000 and above before U+E000. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;
