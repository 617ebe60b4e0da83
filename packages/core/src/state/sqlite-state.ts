/**
 * State in one `node:sqlite` file: WAL, synchronous NORMAL, so that a write costs microseconds and a crash of the process loses nothing;
 * a power cut may lose the last writes, never the file. Calls are synchronous: one is a few microseconds.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { ConfigError, PosternError } from "../errors.ts";
import type { Clock } from "../model/index.ts";
import { checkKey, encodeValue, expiryOf } from "./entry-rules.ts";
import type { StateSpace, StateStore, StateValue } from "./state-store.ts";

export interface SqliteStateOptions {
  /** Made (0700) if its parent exists. */
  readonly directory: string;
  readonly clock: Pick<Clock, "now">;
}

/** Another process's transaction is waited for so long, and the event loop with it. */
const busyMs = 100;
/** What one `sweep` removes at most: it holds the event loop for milliseconds. */
const sweepRows = 5000;
const formatVersion = 1;

/** Throws ConfigError for a folder that can neither be used nor made, STORE_UNAVAILABLE for a database that cannot be used. */
export function openSqliteState({ directory, clock }: SqliteStateOptions): StateStore {
  const folder = resolve(directory);
  makeFolder(folder);
  const path = join(folder, "state.sqlite");
  try {
    // Ours alone before SQLite sees it; its WAL takes over the mode.
    closeSync(openSync(path, "a", 0o600));
    const database = new DatabaseSync(path, { timeout: busyMs });
    try {
      prepareDatabase(database);
      return new SqliteState(database, path, clock);
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (cause) {
    throw stateError(path, cause);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const reason = code === "ENOENT" ? `its parent ${dirname(folder)} does not exist` : message;
    throw new ConfigError(`state.directory ${folder} cannot be used: ${reason}`, { cause });
  }
}

function prepareDatabase(database: DatabaseSync): void {
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = ${16 * 1024 * 1024}`,
  );
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"];
  if (typeof version === "number" && version > formatVersion) {
    throw new PosternError("STORE_UNAVAILABLE", "the state was written by a newer version of Postern", {
      temporary: false,
    });
  }
  database.exec(`
    CREATE TABLE IF NOT EXISTS entry (
      space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_expiry ON entry (expires_at);
    PRAGMA user_version = ${formatVersion}`);
}

interface Statements {
  readonly get: StatementSync;
  readonly put: StatementSync;
  readonly delete: StatementSync;
  readonly increment: StatementSync;
  readonly lease: StatementSync;
  readonly scan: StatementSync;
}

class SqliteState implements StateStore {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #clock: Pick<Clock, "now">;
  readonly #statements: Statements;
  readonly #sweep: StatementSync;

  constructor(database: DatabaseSync, path: string, clock: Pick<Clock, "now">) {
    this.#database = database;
    this.#path = path;
    this.#clock = clock;
    this.#statements = prepareStatements(database);
    this.#sweep = database.prepare(
      `DELETE FROM entry WHERE (space, key) IN (SELECT space, key FROM entry WHERE expires_at <= ? LIMIT ${sweepRows})`,
    );
  }

  space<V extends StateValue>(name: string): StateSpace<V> {
    checkKey(name);
    const run = <T>(work: () => T): T => this.#run(work);
    return new SqliteSpace(name, this.#database, this.#statements, this.#clock, run) as unknown as StateSpace<V>;
  }

  sweep(): number {
    return this.#run(() => Number(this.#sweep.run(this.#clock.now()).changes));
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw stateError(this.#path, cause);
    }
  }
}

function prepareStatements(database: DatabaseSync): Statements {
  return {
    get: database.prepare("SELECT value FROM entry WHERE space = ? AND key = ? AND expires_at > ?"),
    put: database.prepare(
      `INSERT INTO entry VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
    ),
    delete: database.prepare("DELETE FROM entry WHERE space = ? AND key = ?"),
    increment: database.prepare(
      `INSERT INTO entry VALUES (:space, :key, :by, :expires) ON CONFLICT DO UPDATE SET
         value = CASE WHEN expires_at > :now THEN CAST(value AS NUMERIC) + :by ELSE :by END,
         expires_at = CASE WHEN expires_at > :now THEN expires_at ELSE :expires END
       RETURNING CAST(value AS NUMERIC) AS sum`,
    ),
    lease: database.prepare(
      `INSERT INTO entry VALUES (:space, :key, :owner, :expires)
       ON CONFLICT DO UPDATE SET value = :owner, expires_at = :expires WHERE expires_at <= :now OR value = :owner`,
    ),
    scan: database.prepare(
      `SELECT key, value FROM entry WHERE space = ? AND key >= ? AND key < ? AND expires_at > ? ORDER BY key LIMIT ?`,
    ),
  };
}

class SqliteSpace implements StateSpace {
  readonly #name: string;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #clock: Pick<Clock, "now">;
  readonly #run: <T>(work: () => T) => T;

  constructor(
    name: string,
    database: DatabaseSync,
    statements: Statements,
    clock: Pick<Clock, "now">,
    run: <T>(work: () => T) => T,
  ) {
    this.#name = name;
    this.#database = database;
    this.#statements = statements;
    this.#clock = clock;
    this.#run = run;
  }

  get(key: string): StateValue | undefined {
    checkKey(key);
    const row = this.#run(() => this.#statements.get.get(this.#name, key, this.#clock.now()));
    return row && parse(row["value"]);
  }

  put(key: string, value: StateValue, ttlMs: number): void {
    checkKey(key);
    const text = encodeValue(value);
    this.#run(() => this.#statements.put.run(this.#name, key, text, expiryOf(this.#clock.now(), ttlMs)));
  }

  delete(key: string): void {
    checkKey(key);
    this.#run(() => this.#statements.delete.run(this.#name, key));
  }

  update(
    key: string,
    ttlMs: number,
    change: (current: StateValue | undefined) => StateValue | undefined,
  ): StateValue | undefined {
    this.#run(() => this.#database.exec("BEGIN IMMEDIATE"));
    try {
      const next = change(this.get(key));
      if (next === undefined) this.delete(key);
      else this.put(key, next, ttlMs);
      this.#run(() => this.#database.exec("COMMIT"));
      return next;
    } catch (error) {
      if (this.#database.isTransaction) this.#run(() => this.#database.exec("ROLLBACK"));
      throw error;
    }
  }

  increment(key: string, by: number, windowMs: number): number {
    checkKey(key);
    const now = this.#clock.now();
    const row = this.#run(() =>
      this.#statements.increment.get({ space: this.#name, key, by, now, expires: expiryOf(now, windowMs) }),
    );
    return Number(row?.["sum"]);
  }

  lease(key: string, owner: string, ttlMs: number): boolean {
    checkKey(key);
    const now = this.#clock.now();
    const values = { space: this.#name, key, owner: encodeValue(owner), now, expires: expiryOf(now, ttlMs) };
    return this.#run(() => this.#statements.lease.run(values).changes) !== 0;
  }

  scan(prefix: string, limit: number): readonly (readonly [key: string, value: StateValue])[] {
    checkKey(prefix);
    const end = `${prefix}\u{10FFFF}`;
    const rows = this.#run(() =>
      this.#statements.scan.all(this.#name, prefix, end, this.#clock.now(), Math.max(0, Math.floor(limit))),
    );
    return rows.map((row) => [String(row["key"]), parse(row["value"])]);
  }
}

function parse(value: SQLOutputValue | undefined): StateValue {
  return JSON.parse(String(value)) as StateValue;
}

function stateError(path: string, cause: unknown): PosternError {
  if (cause instanceof PosternError) return cause;
  return new PosternError("STORE_UNAVAILABLE", `the state in ${path} cannot be used: ${(cause as Error).message}`, {
    cause,
  });
}
