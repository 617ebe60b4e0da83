/** One PostgreSQL server behind one host: a bounded pool that is thrown away whole when a connection breaks or stands still. */
import type { Clock } from "@postern/core";
import { knex, type Knex } from "knex";
import { silentLog, type QueryOptions } from "./knex-settings.ts";

export interface ServerSettings {
  /** What `pg` is told: host, port, user, password, database, ssl. */
  readonly connection: Readonly<Record<string, unknown>>;
  readonly connections: number;
  readonly idleMs: number;
  /** The longest that one query may take, waiting for a connection included. */
  readonly timeoutMs: number;
}

/** The server stood still. */
export class ServerTimeout extends Error {}

/** All values as the server writes them: no dates, no numbers, NULL is null. */
const asText = { getTypeParser: () => (value: string) => value };

export class PostgresServer {
  readonly #settings: ServerSettings;
  readonly #clock: Clock;
  #pool: Knex | undefined;

  constructor(settings: ServerSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Values row by row. Rejects with `ServerTimeout`, with PostgreSQL's error, or with the socket's. */
  async query(sql: string, values: readonly string[]): Promise<readonly (string | null)[]> {
    const pool = (this.#pool ??= this.#openPool());
    const options: QueryOptions = { values, rowMode: "array" };
    try {
      const { rows } = await this.#bounded(pool.raw(sql).options(options));
      return rows.flat();
    } catch (error) {
      if (sqlStateOf(error) === undefined) this.#discard(pool);
      throw error;
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }

  #bounded(query: Knex.Raw): Promise<{ readonly rows: readonly (string | null)[][] }> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(
        () => reject(new ServerTimeout(`no answer within ${this.#settings.timeoutMs} ms`)),
        this.#settings.timeoutMs,
      );
      query
        .then(resolve, reject)
        .finally(() => timer.cancel())
        .catch(() => undefined);
    });
  }

  /** Every other connection of a server that died or stands still is as bad; the next query begins with a new one. */
  #discard(pool: Knex): void {
    if (this.#pool === pool) this.#pool = undefined;
    pool.destroy().catch(() => undefined);
  }

  #openPool(): Knex {
    const { connection, connections, idleMs, timeoutMs } = this.#settings;
    // More than knex's types know of what the driver takes.
    const driverSettings: object = {
      client_encoding: "UTF8",
      application_name: "postern",
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      types: asText,
      ...connection,
    };
    const pool = knex({
      client: "pg",
      // Spares a `SELECT version()` on the first connection; only knex's builder would use it.
      version: "15.0",
      connection: driverSettings,
      pool: { min: 0, max: connections, idleTimeoutMillis: idleMs },
      acquireConnectionTimeout: timeoutMs,
      compileSqlOnError: false,
      log: silentLog,
    });
    const client = pool.client as RawClient;
    // The SQL has PostgreSQL's own placeholders; a `?` in it is an operator.
    client.positionBindings = (sql) => sql;
    // A farewell would wait for an answer that a server which stands still never gives.
    client.destroyRawConnection = (broken) => {
      broken.connection.stream.destroy();
      return Promise.resolve();
    };
    return pool;
  }
}

/** What of knex's `pg` client is looked at. */
interface RawClient {
  positionBindings: (sql: string) => string;
  destroyRawConnection: (connection: {
    readonly connection: { readonly stream: { destroy(): void } };
  }) => Promise<void>;
}

/** "22P02" of an error that the server itself sent. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, severity } = error as { readonly code?: unknown; readonly severity?: unknown };
  return typeof code === "string" && typeof severity === "string" && code.length === 5 ? code : undefined;
}
