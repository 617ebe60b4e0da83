/**
 * Entries in a SQLite file. A call is one prepared statement, or a batch in one transaction that calls nobody, so that a call in a call
 * does no harm.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Entry, EntryTable } from "./entry-table.ts";
import { closedStore, isDamage, isLocked, storeFault } from "./store-fault.ts";

/** Opens the database; `damaged` when the last one turned out to be. Throws SQLite's errors or a PosternError. */
export type OpenDatabase = (damaged: boolean) => DatabaseSync;

/** Entries removed in one go: a few milliseconds, during which nothing else runs. */
const removeBatch = 250;
/** A space with a quota is counted again after so many writes, and may go beyond it by as many. */
const countEvery = 100;

const statementsOf = (database: DatabaseSync) => ({
  read: database.prepare(
    "SELECT value AS text, expires_at AS expiresAt FROM entries WHERE space = ? AND key = ? AND expires_at > ?",
  ),
  write: database.prepare(
    `INSERT INTO entries (space, key, value, expires_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
  ),
  insert: database.prepare(
    `INSERT INTO entries (space, key, value, expires_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at WHERE expires_at <= ?`,
  ),
  change: database.prepare("UPDATE entries SET value = ?, expires_at = ? WHERE space = ? AND key = ? AND value = ?"),
  remove: database.prepare("DELETE FROM entries WHERE space = ? AND key = ?"),
  removeText: database.prepare("DELETE FROM entries WHERE space = ? AND key = ? AND value = ?"),
  // No octet of UTF-8 is FF, so the prefix with FF behind it stands after all that begins with it.
  range: database.prepare(
    `SELECT key, value AS text FROM entries
     WHERE space = ? AND key >= ? AND key < CAST(? AS TEXT) AND expires_at > ? ORDER BY key LIMIT ?`,
  ),
  spaces: database.prepare("SELECT name FROM spaces WHERE entries > 0"),
  count: database.prepare("SELECT entries FROM spaces WHERE name = ?"),
  sweep: database.prepare(
    `DELETE FROM entries WHERE (space, key) IN (
       SELECT space, key FROM entries WHERE space = ? AND expires_at <= ? LIMIT ${removeBatch})`,
  ),
  trim: database.prepare(
    `DELETE FROM entries WHERE (space, key) IN (
       SELECT space, key FROM entries WHERE space = ? ORDER BY expires_at LIMIT ?)`,
  ),
  begin: database.prepare("BEGIN IMMEDIATE"),
  commit: database.prepare("COMMIT"),
  rollback: database.prepare("ROLLBACK"),
});

/** What a batch does: writes an entry or, without one, removes it. */
export type Change = readonly [space: string, key: string, entry: Entry | undefined];

type Statements = Readonly<Record<keyof ReturnType<typeof statementsOf>, StatementSync>>;

interface Quota {
  readonly maxEntries: number;
  /** Since it was counted. */
  written: number;
}

export class SqliteEntries implements EntryTable {
  readonly #open: OpenDatabase;
  #database: DatabaseSync | undefined;
  #statements: Statements | undefined;
  readonly #busyTimeoutMs: number;
  /** Hears of each write or removal. */
  readonly #wrote: (entries: number) => void;
  readonly #quotas = new Map<string, Quota>();
  /** It was locked at the last try, for as long as we wait: until it is free we only try. */
  #locked = false;
  #closed = false;

  /** Throws as every call does, or ConfigError. */
  constructor(open: OpenDatabase, busyTimeoutMs: number, wrote: (entries: number) => void = () => undefined) {
    this.#open = open;
    this.#wrote = wrote;
    this.#busyTimeoutMs = busyTimeoutMs;
    this.#do(() => undefined);
  }

  read(space: string, key: string, now: number): Entry | undefined {
    return this.#do(({ read }) => read.get(space, key, now), false) as Entry | undefined;
  }

  write(space: string, key: string, { text, expiresAt }: Entry): void {
    this.#do(({ write }) => write.run(space, key, text, expiresAt));
    this.#wrote(1);
    if (this.#quotas.size > 0) this.#countIn(space, 1);
  }

  remove(space: string, key: string): void {
    this.#do(({ remove }) => remove.run(space, key));
  }

  replace(space: string, key: string, expected: string | undefined, next: Entry | undefined, now: number): boolean {
    this.#wrote(1);
    return this.#do(({ insert, change, removeText }) => {
      if (expected === undefined) {
        if (next === undefined) return true;
        const inserted = insert.run(space, key, next.text, next.expiresAt, now).changes === 1;
        if (inserted && this.#quotas.size > 0) this.#countIn(space, 1);
        return inserted;
      }
      if (next === undefined) return removeText.run(space, key, expected).changes === 1;
      return change.run(next.text, next.expiresAt, space, key, expected).changes === 1;
    });
  }

  /** All of it or, when it throws, nothing. */
  batch(changes: readonly Change[]): void {
    this.#do(({ begin, commit, rollback, write, remove }) => {
      begin.run();
      try {
        for (const [space, key, entry] of changes) {
          if (entry === undefined) remove.run(space, key);
          else write.run(space, key, entry.text, entry.expiresAt);
        }
        commit.run();
      } catch (error) {
        // SQLite has done so itself after some errors, and says that then.
        if (this.#database?.isTransaction === true) rollback.run();
        throw error;
      }
    });
    this.#wrote(changes.length);
    if (this.#quotas.size > 0) for (const [space] of changes) this.#countIn(space, 1);
  }

  limit(space: string, maxEntries: number): void {
    this.#quotas.set(space, { maxEntries, written: 0 });
    this.#trim(space, maxEntries);
  }

  range(space: string, prefix: string, limit: number, now: number): readonly (readonly [string, string])[] {
    const end = Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)]);
    const rows = this.#do(({ range }) => range.all(space, prefix, end, now, limit), false);
    return (rows as unknown as { key: string; text: string }[]).map(({ key, text }) => [key, text]);
  }

  /** Removes up to a batch of what has expired; `done` when that was all. */
  sweep(now: number): { readonly removed: number; readonly done: boolean } {
    this.#wrote(removeBatch);
    return this.#do(({ spaces, sweep }) => {
      let removed = 0;
      for (const { name } of spaces.all() as unknown as { name: string }[]) {
        removed += Number(sweep.run(name, now).changes);
        if (removed >= removeBatch) return { removed, done: false };
      }
      return { removed, done: true };
    });
  }

  close(): void {
    this.#closed = true;
    this.#letGo();
  }

  /** A damaged database is replaced and the call made again, once. */
  #do<T>(call: (statements: Statements) => T, writes = true): T {
    if (this.#closed) throw closedStore();
    try {
      const result = call(this.#statements ?? this.#begin(false));
      // Who reads is never in the way of one who writes: that tells nothing.
      if (this.#locked && writes) this.#waitForLocks(true);
      return result;
    } catch (error) {
      if (!this.#locked && isLocked(error)) this.#waitForLocks(false);
      if (!isDamage(error)) throw storeFault(error);
    }
    try {
      this.#letGo();
      return call(this.#begin(true));
    } catch (error) {
      throw storeFault(error);
    }
  }

  /** While somebody keeps it locked each call would wait, and all sessions with it. */
  #waitForLocks(wait: boolean): void {
    this.#locked = !wait;
    this.#database?.exec(`PRAGMA busy_timeout = ${wait ? this.#busyTimeoutMs : 0}`);
  }

  #countIn(space: string, written: number): void {
    const quota = this.#quotas.get(space);
    if (quota === undefined || (quota.written += written) < countEvery) return;
    quota.written = 0;
    this.#trim(space, quota.maxEntries);
  }

  /** Of a space far beyond its quota a batch at a time: more goes than is written meanwhile. */
  #trim(space: string, maxEntries: number): void {
    this.#do(({ count, trim }) => {
      const { entries = 0 } = (count.get(space) ?? {}) as { entries?: number };
      if (entries > maxEntries) trim.run(space, Math.min(entries - maxEntries, removeBatch));
    });
  }

  #begin(damaged: boolean): Statements {
    this.#database = this.#open(damaged);
    return (this.#statements = statementsOf(this.#database));
  }

  #letGo(): void {
    this.#statements = undefined;
    const database = this.#database;
    this.#database = undefined;
    database?.close();
  }
}
