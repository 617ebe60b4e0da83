/**
 * One database server behind a bounded pool: every question has a deadline, a broken or mute server costs the first that ask it and
 * nobody after them, and it is tried again by itself.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { PosternError, type Clock } from "@postern/core";
import knex, { type Knex } from "knex";
import type { Options } from "./options.ts";

/** Rows of a SELECT or RETURNING, and how many rows were changed. */
export interface Result {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly changed: number;
}

export type Value = Buffer | number | null;

export interface ServerParts {
  readonly options: Options;
  /** The config's folder. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: { info(text: string): void; warn(text: string): void };
}

/** More questions than that wait for nothing: the server is hopelessly behind. */
const maxAsked = 5000;

export class Server {
  readonly #parts: ServerParts;
  #pool: Pool | undefined;
  #asked = 0;
  /** Until when, monotonic, nobody asks; `undefined`: it answered at last. */
  #downUntil: number | undefined;
  #probing = false;
  #why = "";
  #closed = false;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** It failed when it was asked last; the log has it. */
  get isDown(): boolean {
    return this.#downUntil !== undefined;
  }

  /** Rejects with STORE_UNAVAILABLE; `cause` is the driver's when the server refused it. */
  async query(sql: string, values: readonly Value[]): Promise<Result> {
    if (this.#closed) throw unavailable("it is closed");
    const probe = this.#mayAsk();
    if (this.#asked >= maxAsked) throw unavailable("too many questions wait for it");
    this.#asked += 1;
    if (probe) this.#probing = true;
    const pool = (this.#pool ??= this.#openPool());
    try {
      const result = await this.#bounded(pool.knex.raw(sql, values as Knex.Value[]));
      if (this.#downUntil !== undefined) this.#recovered();
      return resultOf(this.#parts.options.client, result);
    } catch (error) {
      if (error instanceof PosternError && error.code !== "STORE_UNAVAILABLE") throw error;
      if (blamesStatement(error)) {
        if (this.#downUntil !== undefined) this.#recovered();
        throw unavailable(wordsOf(error, sql), error);
      }
      this.#failed(pool, wordsOf(error, sql));
      throw unavailable(this.#why, error);
    } finally {
      this.#asked -= 1;
      if (probe) this.#probing = false;
    }
  }

  /** Questions under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined) return;
    const ended = pool.knex.destroy();
    // knex waits for what is under way, and for a server that stands still for ever.
    if (this.#asked > 0) for (const connection of pool.connections) connection.end();
    await Promise.race([ended, new Promise<void>((done) => this.#parts.clock.setTimer(done, 500))]);
  }

  /** True for the one who tries a server that was down. */
  #mayAsk(): boolean {
    if (this.#downUntil === undefined) return false;
    if (this.#probing || this.#parts.clock.monotonic() < this.#downUntil) throw unavailable(this.#why);
    return true;
  }

  #failed(pool: Pool, why: string): void {
    const { clock, log, options } = this.#parts;
    if (this.#downUntil === undefined && !this.#closed)
      log.warn(`the state database fails, and with it what asks it, until it is back: ${why}`);
    this.#why = why;
    this.#downUntil = clock.monotonic() + options.retryInterval;
    // All its connections are as bad; knex would keep those of a server that stands still.
    if (this.#pool === pool) this.#pool = undefined;
    if (pool.discarded) return;
    pool.discarded = true;
    for (const connection of pool.connections) connection.end();
    pool.knex.destroy().catch(() => undefined);
  }

  #recovered(): void {
    this.#downUntil = undefined;
    if (!this.#closed) this.#parts.log.info("the state database answers again");
  }

  #bounded(query: Knex.Raw): Promise<unknown> {
    const { clock, options } = this.#parts;
    return new Promise((done, fail) => {
      const timer = clock.setTimer(() => fail(new Error(`no answer within ${options.timeout} ms`)), options.timeout);
      query.then(
        (result: unknown) => {
          timer.cancel();
          done(result);
        },
        (error: unknown) => {
          timer.cancel();
          fail(error);
        },
      );
    });
  }

  #openPool(): Pool {
    const { options } = this.#parts;
    const { client, connections: max, timeout } = options;
    const connections = new Set<Connection>();
    const pool = knex({
      client: client === "mysql" ? "mysql2" : "pg",
      // Spares a question on the first connection; only knex's builder would use it.
      version: "15.0",
      connection: () => this.#settings(),
      pool: {
        min: 0,
        max,
        idleTimeoutMillis: 60_000,
        afterCreate: (created: RawMysql & RawPostgres, done: (error: Error | null, created: unknown) => void) => {
          const connection = {
            end: () => (client === "mysql" ? created.destroy() : created.connection.stream.destroy()),
          };
          connections.add(connection);
          (client === "mysql" ? created : created.connection.stream).on("end", () => connections.delete(connection));
          runAll(created, openingOf(options), (error) => done(error, created));
        },
      },
      acquireConnectionTimeout: timeout,
      compileSqlOnError: false,
      log: silentLog,
    });
    return { knex: pool, connections, discarded: false };
  }

  /** For each connection anew: a password that was changed is read again. */
  #settings(): Knex.StaticConnectionConfig {
    const { options, directory } = this.#parts;
    const { host, port, socketPath, user, password, database, ssl } = options.connection;
    const login = { user, database, ...(password !== undefined && { password: password.reveal(directory) }) };
    const tls = socketPath !== undefined || ssl === false ? undefined : readTls(ssl, host, directory);
    const settings: object =
      options.client === "mysql"
        ? {
            ...login,
            ...(socketPath === undefined ? { host, port: port ?? 3306 } : { socketPath }),
            ...(tls && { ssl: tls }),
            // Changed rows are counted, not found ones; IGNORE_SPACE and ODBC change what SQL means, LOCAL_FILES lets a server read our files.
            flags: ["-FOUND_ROWS", "-IGNORE_SPACE", "-ODBC", "-LOCAL_FILES"],
            multipleStatements: true,
            connectTimeout: options.timeout,
            enableKeepAlive: true,
          }
        : {
            ...login,
            host: socketPath ?? host,
            port: port ?? 5432,
            ssl: tls ?? false,
            connectionTimeoutMillis: options.timeout,
            application_name: "postern",
            keepAlive: true,
          };
    return settings;
  }
}

interface Connection {
  end(): void;
}

interface Pool {
  readonly knex: Knex;
  readonly connections: Set<Connection>;
  discarded: boolean;
}

/** What of the drivers' connections is looked at. */
interface RawMysql {
  destroy(): void;
  query(sql: string, done: (error: Error | null) => void): unknown;
  on(event: "end", listener: () => void): unknown;
}
interface RawPostgres {
  readonly connection: { readonly stream: { destroy(): void; on(event: "end", listener: () => void): unknown } };
}

/** What a new connection is told: an answer that nobody waits for any more is not to keep locks. */
function openingOf({ client, timeout }: Pick<Options, "client" | "timeout">): readonly string[] {
  if (client === "pg") return [`SET statement_timeout = ${timeout}; SET synchronous_commit = off`];
  return [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    `SET SESSION innodb_lock_wait_timeout = ${Math.ceil(timeout / 1000)}`,
  ];
}

function runAll(connection: RawMysql, [first, ...rest]: readonly string[], done: (error: Error | null) => void): void {
  if (first === undefined) return done(null);
  connection.query(first, (error) =>
    error === null || error === undefined ? runAll(connection, rest, done) : done(error),
  );
}

function readTls(ssl: true | TlsFiles, host: string, directory: string): object {
  const { ca, cert, key, verify }: TlsFiles = ssl === true ? { verify: true } : ssl;
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(resolve(directory, file)));
  return {
    ca: read(ca),
    cert: read(cert),
    key: read(key),
    rejectUnauthorized: verify,
    // mysql2 looks at the name only when told to; pg, for an address, would look for localhost.
    verifyIdentity: verify,
    host,
  };
}

type TlsFiles = Exclude<Options["connection"]["ssl"], boolean>;

function resultOf(client: Options["client"], result: unknown): Result {
  if (client === "pg") {
    const { rows, rowCount } = result as { rows: Result["rows"]; rowCount: number | null };
    return { rows, changed: rowCount ?? 0 };
  }
  const [found] = result as [unknown];
  // Of two statements the second has the rows.
  const [head, second] = Array.isArray(found) ? (found as unknown[]) : [found];
  const rows = (Array.isArray(second) ? second : Array.isArray(found) ? found : []) as Result["rows"];
  return { rows, changed: (head as { affectedRows?: number } | undefined)?.affectedRows ?? 0 };
}

/** The server lives and refuses this one: a table that is not there, a deadlock. Not shutting down, too many connections, wrong login. */
function blamesStatement(error: unknown): boolean {
  const { code, sqlState, fatal, severity } = (error ?? {}) as Record<string, unknown>;
  if (typeof sqlState === "string")
    return fatal !== true && !/^(?:08|28)/.test(sqlState) && code !== "ER_CON_COUNT_ERROR";
  return severity === "ERROR" && typeof code === "string" && !/^(?:08|28|53|57P|3D)/.test(code);
}

/** What the driver said, without the SQL that knex puts before it; one bounded line. */
function wordsOf(error: unknown, sql: string): string {
  if (!(error instanceof Error)) return "unknown error";
  const { code } = error as NodeJS.ErrnoException;
  const at = error.message.startsWith(sql.slice(0, 20)) ? error.message.lastIndexOf(" - ") : -1;
  const words = (at < 0 ? error.message : error.message.slice(at + 3)).replaceAll(/\s+/g, " ").slice(0, 200);
  // A host with several addresses gives an AggregateError, which has a code and no words.
  return words === "" ? (code ?? error.name) : words;
}

/** Codes of the driver that the layout looks at. */
export function codeOf(error: unknown): string | undefined {
  const { cause } = error as { cause?: { code?: unknown } };
  return typeof cause?.code === "string" ? cause.code : undefined;
}

function unavailable(why: string, cause?: unknown): PosternError {
  return new PosternError("STORE_UNAVAILABLE", `the state database: ${why}`, { cause });
}

const ignore = (): void => undefined;
/** knex would write to the console; what is wrong comes as an error, too. */
const silentLog: Knex.Logger = Object.freeze({ warn: ignore, error: ignore, debug: ignore, deprecate: ignore });
