/** One PostgreSQL server behind one host: a bounded pool that is thrown away whole when a connection breaks or stands still. */
import { Socket } from "node:net";
import { longestAnswer, type Clock } from "@postern/core";
import knex, { type Knex } from "knex";
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

/** The driver collects an answer whole, however long it gets; this ends it. */
export class AnswerTooLong extends Error {}

/** All values as the server writes them: no dates, no numbers, NULL is null. */
const asText = { getTypeParser: () => (value: string) => value };

export class PostgresServer {
  readonly #settings: ServerSettings;
  readonly #clock: Clock;
  #pool: Pool | undefined;
  /** Queries under way. */
  #asked = 0;

  constructor(settings: ServerSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Values row by row. Rejects with `ServerTimeout`, `AnswerTooLong`, with PostgreSQL's error, or with the socket's. */
  async query(sql: string, values: readonly string[]): Promise<readonly (string | null)[]> {
    const pool = (this.#pool ??= this.#openPool());
    const options: QueryOptions = { values, rowMode: "array" };
    this.#asked += 1;
    try {
      const { rows } = await this.#bounded(pool.knex.raw(sql).options(options));
      return rows.flat();
    } catch (error) {
      if (error instanceof ServerTimeout) for (const socket of pool.sockets) socket.destroy();
      if (blamesServer(error)) this.#discard(pool);
      throw error;
    } finally {
      this.#asked -= 1;
    }
  }

  /** Queries under way fail: knex would wait for them. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined) return;
    const ended = pool.knex.destroy();
    if (this.#asked > 0) for (const socket of pool.sockets) socket.destroy();
    await ended;
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
  #discard(pool: Pool): void {
    if (this.#pool === pool) this.#pool = undefined;
    // Of all queries that fail with it the first one does it.
    if (pool.discarded) return;
    pool.discarded = true;
    pool.knex.destroy().catch(() => undefined);
  }

  #openPool(): Pool {
    const { connection, connections, idleMs, timeoutMs } = this.#settings;
    // More than knex's types know of what the driver takes.
    const driverSettings: object = {
      client_encoding: "UTF8",
      application_name: "postern",
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      types: asText,
      // Before there is TLS, if there is.
      stream: () => {
        const socket = limits.watch(new Socket());
        sockets.add(socket);
        return socket.once("close", () => sockets.delete(socket));
      },
      ...connection,
    };
    const limits = new AnswerLimits();
    const sockets = new Set<Socket>();
    const pool = knex({
      client: "pg",
      // Spares a `SELECT version()` on the first connection; only knex's builder would use it.
      version: "15.0",
      connection: driverSettings,
      pool: {
        min: 0,
        max: connections,
        idleTimeoutMillis: idleMs,
        afterCreate: (created: RawConnection, done: (error: null, created: RawConnection) => void) => {
          const { stream } = created.connection;
          limits.watch(stream);
          created.connection.on("readyForQuery", () => limits.reset(stream));
          done(null, created);
        },
      },
      acquireConnectionTimeout: timeoutMs,
      compileSqlOnError: false,
      log: silentLog,
    });
    const client = pool.client as RawClient;
    client.positionBindings = sameSql;
    client.destroyRawConnection = endConnection;
    return { knex: pool, sockets, discarded: false };
  }
}

interface Pool {
  readonly knex: Knex;
  /** Of all its connections, in use or not, or on their way; what is within TLS ends with them. */
  readonly sockets: ReadonlySet<Socket>;
  discarded: boolean;
}

/** What of knex's `pg` client is looked at. */
interface RawClient {
  positionBindings: (sql: string) => string;
  destroyRawConnection: (connection: RawConnection) => Promise<void>;
}

interface RawConnection {
  readonly connection: {
    readonly stream: Socket;
    on(event: "readyForQuery", listener: () => void): unknown;
  };
  end(): Promise<void>;
}

/** It has PostgreSQL's own placeholders; a `?` in it is an operator. */
function sameSql(sql: string): string {
  return sql;
}

function endConnection(connection: RawConnection): Promise<void> {
  const { stream } = connection.connection;
  connection.end().catch(() => undefined);
  // A server that stands still would keep the socket open for ever.
  stream.destroySoon();
  return Promise.resolve();
}

/** Ends a connection over which more comes than one answer may be long, from one `reset` to the next. */
class AnswerLimits {
  readonly #received = new WeakMap<Socket, number>();

  watch(socket: Socket): Socket {
    if (this.#received.has(socket)) return socket;
    this.reset(socket);
    return socket.prependListener("data", (chunk: Buffer) => {
      const received = (this.#received.get(socket) ?? 0) + chunk.length;
      this.#received.set(socket, received);
      if (received > longestAnswer) socket.destroy(new AnswerTooLong(`an answer longer than ${longestAnswer} octets`));
    });
  }

  reset(socket: Socket): void {
    this.#received.set(socket, 0);
  }
}

/**
 * No SQLSTATE at all, or connection, authorization, no such database, resources, operator intervention, system: another server
 * may do better.
 */
export function blamesServer(error: unknown): boolean {
  if (error instanceof AnswerTooLong) return false;
  const state = sqlStateOf(error);
  return state === undefined || /^(?:08|28|3D|53|57|58|XX)/.test(state);
}

/** "22P02" of an error that the server itself sent. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, severity } = error as { readonly code?: unknown; readonly severity?: unknown };
  return typeof code === "string" && typeof severity === "string" && code.length === 5 ? code : undefined;
}
