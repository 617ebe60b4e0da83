/**
 * Entries in memory, within bounds: a space beyond its quota loses what was written longest ago, which in a space of one lifetime is what
 * expires first; without room for all of them the largest space does.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { Entry, EntryTable } from "./entry-table.ts";
import { closedStore } from "./store-fault.ts";

type SpaceEntries = Map<string, Entry>;

/** A sweep looks at so many between two looks at the time, and lets others run after so many milliseconds. */
const sweepStep = 500;
const sweepMs = 3;
/** Of what is too much a part goes at once: to find the oldest of a map takes as long as it has lost entries since it last grew. */
const dropShare = 128;

export class MemoryEntries implements EntryTable {
  /** Each map in the order of writing. */
  readonly #spaces = new Map<string, SpaceEntries>();
  readonly #quotas = new Map<string, number>();
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
    if (entries.size > (this.#quotas.get(space) ?? Infinity)) this.#dropOldest(space, entries);
    while (this.#count > this.#maxEntries || (this.#length > this.#maxLength && this.#count > 1))
      this.#dropFromLargest();
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

  limit(space: string, maxEntries: number): void {
    this.#quotas.set(space, maxEntries);
    const entries = this.#entriesOf(space);
    while (entries !== undefined && entries.size > maxEntries) this.#dropOldest(space, entries);
  }

  /** Removes what has expired; returns how many, later when it is much to look at. */
  sweep(now: number): MaybePromise<number> {
    if (this.#closed) throw closedStore();
    let removed = 0;
    const expired = this.#removeExpired(now);
    const goOn = (): boolean => {
      const until = performance.now() + sweepMs;
      for (;;) {
        const { value, done = false } = expired.next();
        removed += value ?? 0;
        if (done) return true;
        if (performance.now() > until) return false;
      }
    };
    const later = async (): Promise<number> => {
      do await nextTurn();
      while (!this.#closed && !goOn());
      return removed;
    };
    return goOn() ? removed : later();
  }

  /** Yields how many it removed after each step. */
  *#removeExpired(now: number): Generator<number, undefined> {
    for (const [space, entries] of this.#spaces) {
      let removed = 0;
      let seen = 0;
      // What is written meanwhile stands at the end and is not expired.
      const last = entries.size;
      for (const [key, { expiresAt }] of entries) {
        if (seen++ >= last) break;
        if (expiresAt <= now) {
          this.#drop(space, entries, key);
          removed++;
        }
        if (seen % sweepStep !== 0) continue;
        yield removed;
        removed = 0;
      }
      yield removed;
    }
  }

  close(): void {
    this.#closed = true;
    this.#spaces.clear();
  }

  #entriesOf(space: string): SpaceEntries | undefined {
    if (this.#closed) throw closedStore();
    return this.#spaces.get(space);
  }

  #dropFromLargest(): void {
    let largest: readonly [string, SpaceEntries] | undefined;
    for (const one of this.#spaces) if (largest === undefined || one[1].size > largest[1].size) largest = one;
    if (largest !== undefined) this.#dropOldest(...largest);
  }

  #dropOldest(space: string, entries: SpaceEntries): void {
    let left = Math.ceil(entries.size / dropShare);
    for (const key of entries.keys()) {
      if (left-- === 0) return;
      this.#drop(space, entries, key);
    }
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
