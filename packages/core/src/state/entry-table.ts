/** What a state store must be able to do with entries of text, under the rules that `table-space.ts` adds for all stores. */

export interface Entry {
  /** JSON. */
  readonly text: string;
  /** Milliseconds since 1970; an integer. The entry is gone from then on. */
  readonly expiresAt: number;
}

/** Entries by space and key. An entry that expired at `now` or before counts as not there. All calls throw STORE_UNAVAILABLE. */
export interface EntryTable {
  read(space: string, key: string, now: number): Entry | undefined;
  write(space: string, key: string, entry: Entry): void;
  remove(space: string, key: string): void;
  /** Puts `next` (`undefined`: nothing) in the place of a live entry whose text is `expected` (`undefined`: of none). False when another is there. */
  replace(space: string, key: string, expected: string | undefined, next: Entry | undefined, now: number): boolean;
  /** From now on a space keeps its quota: what expires first goes first. */
  limit(space: string, maxEntries: number): void;
  /** Keys and texts in the order of code points. */
  range(space: string, prefix: string, limit: number, now: number): readonly (readonly [key: string, text: string])[];
}
