/**
 * Entries whose writes gather in memory and go to the disk together, within a second: a transaction for each would cost more than all the
 * rest of a decision. Who reads here sees them at once.
 */
import type { Entry, EntryTable } from "./entry-table.ts";
import type { PosternError } from "../errors.ts";
import type { Change, SqliteEntries } from "./sqlite-entries.ts";
import { storeFault } from "./store-fault.ts";

/** How long a write waits at most, unless writing takes longer than that. */
const flushMs = 200;
/** Written in one transaction: some two milliseconds. */
const batchSize = 200;
/** When more wait they go in several batches a turn: however long turns are under load, ten of them write what there is. */
const manyWaiting = 2000;
/** More do not wait: whoever writes the next also writes a batch. */
const maxWaiting = 20_000;
/** For one checkpoint writing waits so long, and so often. */
const putOffMs = 10;
const maxPutOff = 20;
/** After a failure. */
const retryMs = 500;

export class LazyEntries implements EntryTable {
  readonly #disk: SqliteEntries;
  readonly #isBusy: () => boolean;
  /** How often writing has been put off for the checkpoint that is under way. */
  #putOff = 0;
  /** By space and key; `undefined`: it is to be removed. */
  readonly #waiting = new Map<string, Map<string, Entry | undefined>>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  /** Why the last batch could not be written. Until one can, nothing more is taken. */
  #fault: PosternError | undefined;
  #closed = false;

  /** `isBusy`: a checkpoint is under way. */
  constructor(disk: SqliteEntries, isBusy: () => boolean) {
    this.#disk = disk;
    this.#isBusy = isBusy;
  }

  read(space: string, key: string, now: number): Entry | undefined {
    if (this.#count > 0) {
      const waiting = this.#waiting.get(space);
      const entry = waiting?.get(key);
      if (entry !== undefined) return entry.expiresAt > now ? entry : undefined;
      if (waiting?.has(key) === true) return undefined;
    }
    return this.#disk.read(space, key, now);
  }

  write(space: string, key: string, entry: Entry): void {
    this.#put(space, key, entry);
  }

  remove(space: string, key: string): void {
    this.#put(space, key, undefined);
  }

  replace(space: string, key: string, expected: string | undefined, next: Entry | undefined, now: number): boolean {
    if (this.read(space, key, now)?.text !== expected) return false;
    if (next !== undefined || expected !== undefined) this.#put(space, key, next);
    return true;
  }

  limit(space: string, maxEntries: number): void {
    this.#disk.limit(space, maxEntries);
  }

  range(space: string, prefix: string, limit: number, now: number): readonly (readonly [string, string])[] {
    this.flush();
    return this.#disk.range(space, prefix, limit, now);
  }

  /** Entries that wait. */
  get size(): number {
    return this.#count;
  }

  /** Writes all that waits. Throws as every call does; what was not written waits on. */
  flush(): void {
    while (this.#count > 0) this.writeBatch();
  }

  /** What cannot be written is lost. */
  close(): void {
    try {
      if (!this.#closed) this.flush();
    } catch {
      // It may be lost: the disk was gone or locked for longer than a second.
    }
    this.#closed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#waiting.clear();
    this.#count = 0;
  }

  #put(space: string, key: string, entry: Entry | undefined): void {
    // A store that is closed says so itself.
    if (this.#closed) return this.#disk.remove(space, key);
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#count >= maxWaiting) this.writeBatch();
    let waiting = this.#waiting.get(space);
    if (waiting === undefined) this.#waiting.set(space, (waiting = new Map()));
    const before = waiting.size;
    waiting.set(key, entry);
    this.#count += waiting.size - before;
    this.#timer ??= setTimeout(() => this.#flushInTurns(), flushMs).unref();
  }

  /** A batch a turn, so that sessions go on in between. */
  #flushInTurns(): void {
    this.#timer = undefined;
    // When a checkpoint has caught up with all that is written the journal begins anew; else it grows without end under load.
    if (!this.#isBusy()) this.#putOff = 0;
    else if (this.#putOff < maxPutOff && this.#count < 2 * manyWaiting) {
      this.#putOff += 1;
      this.#timer = setTimeout(() => this.#flushInTurns(), putOffMs).unref();
      return;
    }
    try {
      for (let batches = Math.floor(this.#count / manyWaiting); batches >= 0; batches--) this.writeBatch();
    } catch {
      // Whoever writes meanwhile hears of it.
      this.#timer = setTimeout(() => this.#flushInTurns(), retryMs).unref();
      return;
    }
    if (this.#count === 0) return;
    // Not unref'd: an idle process would then sleep over it.
    this.#turn = setImmediate(() => this.#flushInTurns());
  }

  /** Writes some of it, of each space in its turn: what floods one does not keep another's from the disk. */
  writeBatch(): void {
    const batch: Change[] = [];
    const [first] = this.#waiting.keys();
    for (const [space, waiting] of this.#waiting) {
      for (const [key, entry] of waiting) {
        batch.push([space, key, entry]);
        if (batch.length === batchSize) break;
      }
      if (batch.length === batchSize) break;
    }
    if (batch.length === 0) return;
    try {
      this.#disk.batch(batch);
      this.#fault = undefined;
    } catch (error) {
      this.#fault = storeFault(error);
      this.#timer ??= setTimeout(() => this.#flushInTurns(), retryMs).unref();
      throw error;
    }
    for (const [space, key] of batch) this.#waiting.get(space)?.delete(key);
    this.#count -= batch.length;
    const last = first === undefined ? undefined : this.#waiting.get(first);
    if (first === undefined || last === undefined) return;
    this.#waiting.delete(first);
    this.#waiting.set(first, last);
  }
}
