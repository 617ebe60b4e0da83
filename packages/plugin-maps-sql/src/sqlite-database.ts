/**
 * One database file, read-only. Another file under the same name is noticed within half a second; a file that another process has
 * locked is asked again until `timeoutMs` is over.
 */
import { statSync } from "node:fs";
import { TableUnavailable, type Clock } from "@postern/core";
import knex, { type Knex } from "knex";
import { silentLog, wordsOf, type QueryOptions } from "./knex-settings.ts";
import { SqliteClient } from "./sqlite-client.ts";

const checkEveryMs = 500;
const tryAgainMs = 10;

export class SqliteDatabase {
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  #pool: Knex | undefined;
  /** Device and inode of the open file. */
  #identity = "";
  #checkedAt = -Infinity;
  #closed = false;

  constructor(path: string, timeoutMs: number, clock: Clock) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** Rows of text. Rejects with `TableUnavailable` in the name of `label`. */
  async query(label: string, sql: string, values: readonly string[]): Promise<readonly (string | null)[][]> {
    const deadline = this.#clock.monotonic() + this.#timeoutMs;
    const options: QueryOptions = { values, rowMode: "array" };
    for (;;) {
      if (this.#closed) throw new TableUnavailable(label, "it is closed");
      try {
        const rows: (string | null)[][] = await this.#current().raw(sql).options(options);
        return rows;
      } catch (error) {
        if (!isLocked(error) || this.#clock.monotonic() >= deadline) throw this.#unavailable(label, error, sql);
      }
      await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, tryAgainMs));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
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
      client: SqliteClient,
      connection: { filename: this.#path },
      // node:sqlite answers at once: a second connection would never be in use.
      pool: { min: 0, max: 1, idleTimeoutMillis: 60_000 },
      acquireConnectionTimeout: this.#timeoutMs,
      compileSqlOnError: false,
      log: silentLog,
    });
    return this.#pool;
  }

  async #drop(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#checkedAt = -Infinity;
    await pool?.destroy();
  }

  #unavailable(label: string, error: unknown, sql: string): TableUnavailable {
    // A damaged or vanished file: whatever is open is not asked again.
    void this.#drop();
    return new TableUnavailable(label, wordsOf(error, sql), { cause: error });
  }
}

/** SQLITE_BUSY and SQLITE_LOCKED, with all that is said more closely in the higher bits. */
export function isLocked(error: unknown): boolean {
  const errcode = (error as { readonly errcode?: unknown } | null)?.errcode;
  return typeof errcode === "number" && ((errcode & 0xff) === 5 || (errcode & 0xff) === 6);
}
