/**
 * A bounded number of connections to one server, or to the first of several that can be reached, and a bounded queue before
 * them. Made when they are needed, kept while they are used. A lookup whose connection was closed under it is asked once more
 * at once; a server that could not be reached is passed over for a second while there are others.
 */
import type { Clock, Timer } from "@postern/core";
import { Connection, type Opening, type ReplyReader } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { ExchangeError } from "./exchange-error.ts";
import { ServerOrder } from "./server-order.ts";

export interface PoolOptions {
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  /** Connections at one time. */
  readonly connections: number;
  /** Lookups that wait for one. */
  readonly waiting: number;
  /** For one lookup with all that belongs to it: waiting, connecting, asking, asking again. */
  readonly timeoutMs: number;
  /** A connection that was not used for so long is closed. */
  readonly idleMs: number;
  /** No connection gets older. */
  readonly lifetimeMs: number;
  /** How each connection begins. */
  readonly opening?: Opening | undefined;
}

interface Task {
  readonly request: Buffer;
  start(connection: Connection): Promise<void>;
  fail(error: ExchangeError): void;
  readonly tried: Set<Endpoint>;
  attempts: number;
  connection: Connection | undefined;
}

interface Idle {
  readonly connection: Connection;
  readonly timer: Timer;
}

export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #open = new Map<Connection, number>();
  readonly #idle: Idle[] = [];
  readonly #queue = new Set<Task>();
  readonly #busy = new Set<Task>();
  readonly #servers: ServerOrder;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#servers = new ServerOrder(options.endpoints, options.clock);
  }

  /** Rejects with `ExchangeError`. */
  ask<T>(request: Buffer, read: ReplyReader<T>, signal?: AbortSignal): Promise<T> {
    const { clock, timeoutMs, waiting } = this.#options;
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const settle = (): boolean => {
        if (over) return false;
        over = true;
        timer.cancel();
        signal?.removeEventListener("abort", giveUp);
        this.#queue.delete(task);
        this.#busy.delete(task);
        return true;
      };
      const task: Task = {
        request,
        attempts: 0,
        tried: new Set(),
        connection: undefined,
        start: async (connection) => {
          const value = await connection.exchange(request, read);
          if (settle()) resolve(value);
        },
        fail: (error) => {
          if (settle()) reject(error);
        },
      };
      const late = (why: string) => {
        const error = new ExchangeError("late", why);
        const { connection } = task;
        task.fail(error);
        // Its answer may still come, and must not be taken for that of the next key.
        if (connection !== undefined) this.#drop(connection, error);
      };
      const giveUp = () => late("nobody waits for the answer any more");
      const timer = clock.setTimer(() => late(`no answer within ${timeoutMs} ms`), timeoutMs);
      if (this.#closed) task.fail(new ExchangeError("closed", "the table is closed"));
      else if (signal?.aborted === true) giveUp();
      else {
        signal?.addEventListener("abort", giveUp, { once: true });
        const connection = this.#take(task);
        if (connection !== undefined) this.#run(task, connection);
        else if (this.#queue.size < waiting) this.#queue.add(task);
        else task.fail(new ExchangeError("busy", `more than ${waiting} lookups are waiting`));
      }
    });
  }

  close(): void {
    this.#closed = true;
    const error = new ExchangeError("closed", "the table is closed");
    for (const task of [...this.#queue, ...this.#busy]) task.fail(error);
    for (const connection of this.#open.keys()) connection.end(error);
  }

  /** An idle connection, or a new one when there may be one more. */
  #take(task: Task): Connection | undefined {
    // One that failed says that its neighbours are as old as itself: asked again, it is asked over a new one.
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.timer.cancel();
      if (task.attempts === 0 && idle.connection.usable) return idle.connection;
      idle.connection.end();
    }
    if (this.#open.size >= this.#options.connections) return undefined;
    const connection = new Connection(
      this.#servers.choose(task.tried),
      (ended) => this.#forget(ended),
      this.#options.opening,
    );
    this.#open.set(connection, this.#options.clock.monotonic());
    return connection;
  }

  #run(task: Task, connection: Connection): void {
    task.attempts++;
    task.connection = connection;
    this.#busy.add(task);
    task.start(connection).then(
      () => this.#release(connection),
      (error: unknown) => {
        task.connection = undefined;
        this.#busy.delete(task);
        this.#failed(task, connection, toExchangeError(error));
        this.#next();
      },
    );
  }

  #failed(task: Task, { endpoint, answers }: Connection, error: ExchangeError): void {
    const { count } = this.#servers;
    const closedWhileIdle = error.trouble === "lost" && answers > 0;
    if (!closedWhileIdle) {
      task.tried.add(endpoint);
      if (!error.onlyThisKey) this.#servers.failed(endpoint);
    }
    const others = task.tried.size < count;
    const again = error.trouble === "lost" ? task.attempts === 1 || others : others && isOfTheServer(error);
    if (!again || task.attempts > count || this.#closed) {
      task.fail(error);
      return;
    }
    const connection = this.#take(task);
    if (connection === undefined) this.#queue.add(task);
    else this.#run(task, connection);
  }

  #release(connection: Connection): void {
    const { clock, idleMs, lifetimeMs } = this.#options;
    const born = this.#open.get(connection);
    if (born !== undefined && clock.monotonic() - born > lifetimeMs) connection.end();
    if (connection.usable && !this.#closed) {
      this.#servers.answered(connection.endpoint);
      const [task] = this.#queue;
      if (task !== undefined && task.attempts === 0) {
        this.#queue.delete(task);
        this.#run(task, connection);
        return;
      }
      this.#idle.push({ connection, timer: clock.setTimer(() => this.#drop(connection), idleMs) });
    }
    this.#next();
  }

  #drop(connection: Connection, error?: ExchangeError): void {
    connection.end(error);
    this.#next();
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    const index = this.#idle.findIndex((idle) => idle.connection === connection);
    if (index >= 0) this.#idle.splice(index, 1)[0]?.timer.cancel();
  }

  /** Whoever waits gets what has become free. */
  #next(): void {
    for (const task of this.#queue) {
      const connection = this.#take(task);
      if (connection === undefined) return;
      this.#queue.delete(task);
      this.#run(task, connection);
    }
  }
}

/** Another server may answer what this one cannot. */
function isOfTheServer({ trouble, onlyThisKey }: ExchangeError): boolean {
  return trouble === "refused" || (trouble === "denied" && !onlyThisKey);
}

function toExchangeError(error: unknown): ExchangeError {
  return error instanceof ExchangeError ? error : new ExchangeError("lost", "the connection failed", { cause: error });
}
