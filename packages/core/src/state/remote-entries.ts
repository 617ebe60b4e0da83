/** What a database must do with entries to be a state store: `entry-table.ts` for those who answer later. */
import type { Entry } from "./entry-table.ts";

/** Entries by space and key. An entry that expired at `now` or before counts as not there. All calls reject with STORE_UNAVAILABLE, in bounded time. */
export interface RemoteEntries {
  read(space: string, key: string, now: number): Promise<Entry | undefined>;
  write(space: string, key: string, entry: Entry): Promise<void>;
  remove(space: string, key: string): Promise<void>;
  /** Puts `next` (`undefined`: nothing) in the place of a live entry whose text is `expected` (`undefined`: of none). False when another is there. */
  replace(
    space: string,
    key: string,
    expected: string | undefined,
    next: Entry | undefined,
    now: number,
  ): Promise<boolean>;
  /** Adds to a live number, which expires at `expiresAt` at the latest, else begins with `by` and this expiry; gives the sum. */
  add(space: string, key: string, by: number, expiresAt: number, now: number): Promise<number>;
  /** Keys and texts in the order of code points. */
  range(
    space: string,
    prefix: string,
    limit: number,
    now: number,
  ): Promise<readonly (readonly [key: string, text: string])[]>;
  /** From now on a space keeps its quota, soon if not at once: what expires first goes first. */
  limit(space: string, maxEntries: number): void;
  /** Removes what has expired, and what is beyond a quota; gives how many had expired. Of several gateways one does it. */
  sweep(now: number): Promise<number>;
  /** Once. */
  close(): Promise<void>;
}
