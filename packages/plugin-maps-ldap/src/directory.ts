/**
 * The servers of one or several tables: one connection, kept, shared, opened when it is wanted and opened anew when it is lost;
 * the next server when one does not answer. Bounded: so many searches run at once, so many wait.
 */
import type { Clock } from "@postern/core";
import { Connection, ConnectionLost, SearchTimeout } from "./connection.ts";
import type { Search, SearchResult } from "./connection.ts";
import type { Server } from "./servers.ts";
import type { ConnectionSettings } from "./settings.ts";
import { isServerUnfit } from "./status.ts";

/** slapd ends an anonymous connection with more than 100 requests (conn_max_pending). */
const mostRunning = 64;
const mostWaiting = 10_000;

/** After all servers failed: the next lookups fail at once for so long, and then one tries again. */
const restMs = 250;

/** A server that failed is asked last for so long. */
const suspectMs = 30_000;

/** No server could be asked. The message names them, for the log. */
export class Unreachable extends Error {}

export class Directory {
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  readonly #suspects = new Map<Server, number>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  #restUntil = -Infinity;
  #lastFailure = "";
  readonly #closing = new AbortController();

  constructor(settings: ConnectionSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Rejects with `Unreachable`, `SearchTimeout` or `AnswerTooLarge`; every status of a server is an answer. */
  async search(search: Search): Promise<SearchResult> {
    if (this.#running >= mostRunning) {
      if (this.#waiting.length >= mostWaiting) throw new Unreachable(`${mostWaiting} searches wait already`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await this.#searchSomewhere(search);
    } finally {
      // Its place goes to the next without being free between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  /** Says goodbye to the server; searches that run, and those that wait for a connection, fail. */
  close(): void {
    this.#closing.abort();
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** A connection may have been lost while nobody looked: one more try, as in Postfix, and on another server after a time-out. */
  async #searchSomewhere(search: Search): Promise<SearchResult> {
    for (let last = false; ; last = true) {
      const connection = this.#connection?.isOpen === true ? this.#connection : await this.#connect();
      try {
        const result = await connection.search(search);
        if (last || !isServerUnfit(result.status) || !this.#hasOthers) return result;
        this.#suspect(connection.server);
        connection.close(new ConnectionLost(`${connection.server.label} is unfit`));
      } catch (error) {
        if (error instanceof SearchTimeout && (connection.isOpen || last || !this.#hasOthers)) throw error;
        if (error instanceof ConnectionLost && last) {
          throw new Unreachable(`${connection.server.label}: ${error.message}`, { cause: error });
        }
        if (!(error instanceof SearchTimeout || error instanceof ConnectionLost)) throw error;
      }
    }
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  get #hasOthers(): boolean {
    return this.#settings.servers.length > 1;
  }

  #suspect(server: Server): void {
    this.#suspects.set(server, this.#clock.monotonic() + suspectMs);
  }

  #forget(lost: Connection): void {
    if (lost.isSilent) this.#suspect(lost.server);
    if (this.#connection === lost) this.#connection = undefined;
  }

  #connect(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Unreachable("the table is closed"));
    if (this.#connecting === undefined) {
      if (this.#clock.monotonic() < this.#restUntil) return Promise.reject(new Unreachable(this.#lastFailure));
      this.#connecting = this.#openFirst().finally(() => {
        this.#connecting = undefined;
      });
    }
    return this.#connecting;
  }

  async #openFirst(): Promise<Connection> {
    const failures: string[] = [];
    for (const server of this.#inOrder()) {
      try {
        const { signal } = this.#closing;
        const connection = await Connection.open(
          server,
          this.#settings,
          this.#clock,
          (lost) => this.#forget(lost),
          signal,
        );
        if (this.#closed) {
          connection.close();
          break;
        }
        this.#suspects.delete(server);
        this.#connection = connection;
        return connection;
      } catch (error) {
        this.#suspect(server);
        failures.push(`${server.label}: ${error instanceof Error ? error.message : String(error)}`);
        if (this.#closed) break;
      }
    }
    this.#lastFailure = this.#closed ? "the table is closed" : failures.join("; ");
    this.#restUntil = this.#clock.monotonic() + restMs;
    throw new Unreachable(this.#lastFailure);
  }

  /** As configured, but those that failed lately last. */
  #inOrder(): Server[] {
    const now = this.#clock.monotonic();
    const isSuspect = (server: Server) => (this.#suspects.get(server) ?? -Infinity) > now;
    const { servers } = this.#settings;
    return [...servers.filter((server) => !isSuspect(server)), ...servers.filter(isSuspect)];
  }
}
