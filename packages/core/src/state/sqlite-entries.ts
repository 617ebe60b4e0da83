/** Entries in a SQLite file, one prepared statement a call and no open transactions, so that a call in a call does no harm. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Entry, EntryTable } from "./entry-table.ts";
import { closedStore, isDamage, storeFault } from "./store-fault.ts";

/** Opens the database; `damaged` when the last one turned out to be. Throws SQLite's errors or a PosternError. */
export type OpenDatabase = (damaged: boolean) => DatabaseSync;

/** Expired entries removed in one go: a few milliseconds, during which nothing else runs. */
const sweepBatch = 1000;

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
  sweep: database.prepare(
    `DELETE FROM entries WHERE (space, key) IN (SELECT space, key FROM entries WHERE expires_at <= ? LIMIT ${sweepBatch})`,
  ),
});

type Statements = Readonly<Record<keyof ReturnType<typeof statementsOf>, StatementSync>>;

export class SqliteEntries implements EntryTable {
  readonly #open: OpenDatabase;
  #database: DatabaseSync | undefined;
  #statements: Statements | undefined;
  #closed = false;

  /** Throws as every call does, or ConfigError. */
  constructor(open: OpenDatabase) {
    this.#open = open;
    this.#do(() => undefined);
  }

  read(space: string, key: string, now: number): Entry | undefined {
    return this.#do(({ read }) => read.get(space, key, now)) as Entry | undefined;
  }

  write(space: string, key: string, { text, expiresAt }: Entry): void {
    this.#do(({ write }) => write.run(space, key, text, expiresAt));
  }

  remove(space: string, key: string): void {
    this.#do(({ remove }) => remove.run(space, key));
  }

  replace(space: string, key: string, expected: string | undefined, next: Entry | undefined, now: number): boolean {
    return this.#do(({ insert, change, removeText }) => {
      if (expected === undefined)
        return next === undefined || insert.run(space, key, next.text, next.expiresAt, now).changes === 1;
      if (next === undefined) return removeText.run(space, key, expected).changes === 1;
      return change.run(next.text, next.expiresAt, space, key, expected).changes === 1;
    });
  }

  range(space: string, prefix: string, limit: number, now: number): readonly (readonly [string, string])[] {
    const end = Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)]);
    const rows = this.#do(({ range }) => range.all(space, prefix, end, now, limit));
    return (rows as unknown as { key: string; text: string }[]).map(({ key, text }) => [key, text]);
  }

  /** Removes up to a batch of what has expired; `done` when that was all. */
  sweep(now: number): { readonly removed: number; readonly done: boolean } {
    const removed = this.#do(({ sweep }) => Number(sweep.run(now).changes));
    return { removed, done: removed < sweepBatch };
  }

  close(): void {
    this.#closed = true;
    this.#letGo();
  }

  /** A damaged database is replaced and the call made again, once. */
  #do<T>(call: (statements: Statements) => T): T {
    if (this.#closed) throw closedStore();
    try {
      return call(this.#statements ?? this.#begin(false));
    } catch (error) {
      if (!isDamage(error)) throw storeFault(error);
    }
    try {
      this.#letGo();
      return call(this.#begin(true));
    } catch (error) {
      throw storeFault(error);
    }
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
