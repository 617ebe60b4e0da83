/**
 * One database file, read-only, in a thread. Another file under the same name is noticed within half a second; a file that another
 * process has locked is asked again until `timeoutMs` is over. A query that takes longer is given up, and until it has really
 * ended nothing else is asked, so that there is never more than one that runs for nobody.
 */
import { statSync } from "node:fs";
import { TableUnavailable, type Clock } from "@postern/core";
import knex, { type Knex } from "knex";
import { silentLog, wordsOf, type QueryOptions } from "./knex-settings.ts";
import { createSqliteClient } from "./sqlite-client.ts";
import { AnswerTooLong, SqliteThread, type SqliteRows } from "./sqlite-thread.ts";

const checkEveryMs = 500;
const tryAgainMs = 10;
/** For a thread to begin, on a machine that has much to do. */
const startMs = 2000;

export class SqliteDatabase {
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  #pool: Knex | undefined;
  /** Device and inode of the open file. */
  #identity = "";
  #checkedAt = -Infinity;
  /** All that has not ended. */
  readonly #threads = new Set<SqliteThread>();
  #closed = false;

  constructor(path: string, timeoutMs: number, clock: Clock) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** Rows of text. Rejects with `TableUnavailable` in the name of `label`. */
  async query(label: string, sql: string, values: readonly string[]): Promise<SqliteRows> {
    const deadline = this.#clock.monotonic() + this.#timeoutMs;
    const options: QueryOptions = { values, rowMode: "array" };
    for (;;) {
      if (this.#closed) throw new TableUnavailable(label, "it is closed");
      if (this.#isStuck) throw new TableUnavailable(label, "a query that took too long has not ended yet");
      try {
        const rows: SqliteRows = await this.#current().raw(sql).options(options);
        return rows;
      } catch (error) {
        if (error instanceof AnswerTooLong)
          throw new TableUnavailable(label, wordsOf(error, sql), { onlyThisKey: true });
        if (!isLocked(error) || this.#clock.monotonic() >= deadline) throw this.#unavailable(label, error, sql);
      }
      await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, tryAgainMs));
    }
  }

  /** A query under way fails: knex would wait for it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const thread of this.#threads) thread.end(new Error("it is closed"));
    await this.#drop();
  }

  #current(): Knex {
    const now = this.#clock.monotonic();
    if (this.#pool === undefined || now - this.#checkedAt >= checkEveryMs) {
      const { dev, ino } = statSync(this.#path);
      const identity = `${dev}:${ino}`;
      if (identity !== this.#identity) void this.#drop();
      this.#identity = identity;
      this.#checkedAt = now;
    }
    this.#pool ??= knex({
      client: createSqliteClient(() => this.#openThread()),
      connection: {},
      // What one thread answers in a second is more than any mail asks.
      pool: { min: 0, max: 1, idleTimeoutMillis: 60_000 },
      acquireConnectionTimeout: this.#timeoutMs + startMs,
      compileSqlOnError: false,
      log: silentLog,
    });
    return this.#pool;
  }

  /** Most threads end at once. */
  get #isStuck(): boolean {
    for (const thread of this.#threads) if (thread.isStuck) return true;
    return false;
  }

  #openThread(): SqliteThread {
    const thread = new SqliteThread(this.#path, this.#timeoutMs, this.#clock);
    this.#threads.add(thread);
    void thread.exited.then(() => this.#threads.delete(thread));
    return thread;
  }

  async #drop(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#checkedAt = -Infinity;
    await pool?.destroy();
  }

  #unavailable(label: string, error: unknown, sql: string): TableUnavailable {
    const code = primaryCode(error);
    // A damaged or vanished file, a thread that was ended: whatever is open is not asked again.
    if (code === undefined || ofTheFile.has(code)) void this.#drop();
    const onlyThisKey = code !== undefined && ofTheQuery.has(code);
    return new TableUnavailable(label, wordsOf(error, sql), { cause: error, onlyThisKey });
  }
}

/** SQLITE_IOERR, CORRUPT, CANTOPEN, NOTADB. */
const ofTheFile: ReadonlySet<number> = new Set([10, 11, 14, 26]);
/** SQLITE_ERROR, TOOBIG, MISMATCH: what this key makes of the query. */
const ofTheQuery: ReadonlySet<number> = new Set([1, 18, 20]);

/** SQLITE_BUSY and SQLITE_LOCKED. */
export function isLocked(error: unknown): boolean {
  const code = primaryCode(error);
  return code === 5 || code === 6;
}

/** SQLite's code without what is said more closely in the higher bits. */
function primaryCode(error: unknown): number | undefined {
  const errcode = (error as { readonly errcode?: unknown } | null)?.errcode;
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}
