/** The connections to one service: made when they are needed, kept while they are used, and no more than so many. */
import type { Clock, Timer } from "@postern/core";
import type { Address } from "../address.ts";
import { Connection } from "./connection.ts";
import { Trouble } from "./trouble.ts";

export interface ConnectionLimits {
  readonly connections: number;
  readonly requestLimit: number;
  readonly maxIdleMs: number;
  readonly maxTtlMs: number;
}

interface Idle {
  readonly connection: Connection;
  readonly timer: Timer;
}

interface Waiter {
  readonly take: (connection: Connection) => void;
  readonly fail: (trouble: Trouble) => void;
}

/** Questions that wait for a connection: far more than a service that still answers ever has. */
const mostWaiting = 1_000;

export class Connections {
  readonly #address: Address;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #open = new Set<Connection>();
  readonly #idle: Idle[] = [];
  readonly #waiting = new Set<Waiter>();
  #closed = false;

  constructor(address: Address, clock: Clock, limits: ConnectionLimits) {
    this.#address = address;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** An idle one unless it must be `fresh`, a new one, or the next that becomes free. Rejects with `Trouble`. */
  take(timeoutMs: number, fresh: boolean): Connection | Promise<Connection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.timer.cancel();
      // One that was closed while it stood idle says that its neighbours are as old as itself.
      if (!fresh && idle.connection.usable && !this.#isTooOld(idle.connection)) return idle.connection;
      idle.connection.end();
    }
    if (this.#closed) return Promise.reject(new Trouble("closed", "the gateway is closing"));
    if (this.#open.size < this.#limits.connections) return this.#connect();
    if (this.#waiting.size >= mostWaiting) {
      return Promise.reject(new Trouble("busy", `more than ${mostWaiting} questions are waiting`));
    }
    return new Promise((resolve, reject) => {
      const over = (): void => {
        timer.cancel();
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        take: (connection) => {
          over();
          resolve(connection);
        },
        fail: (trouble) => {
          over();
          reject(trouble);
        },
      };
      const late = (): void => waiter.fail(new Trouble("late", `no connection was free within ${timeoutMs} ms`));
      const timer = this.#clock.setTimer(late, timeoutMs);
      this.#waiting.add(waiter);
    });
  }

  /** Gives one back after its answer. */
  release(connection: Connection): void {
    const { requestLimit, maxIdleMs } = this.#limits;
    if (this.#closed || this.#isTooOld(connection) || (requestLimit > 0 && connection.answers >= requestLimit)) {
      connection.end();
      return;
    }
    if (!connection.usable) return;
    const [next] = this.#waiting;
    if (next !== undefined) next.take(connection);
    else this.#idle.push({ connection, timer: this.#clock.setTimer(() => connection.end(), maxIdleMs) });
  }

  close(): void {
    this.#closed = true;
    const trouble = new Trouble("closed", "the gateway is closing");
    for (const waiter of this.#waiting) waiter.fail(trouble);
    for (const connection of this.#open) connection.end(trouble);
  }

  #isTooOld({ bornAt }: Connection): boolean {
    return this.#clock.monotonic() - bornAt > this.#limits.maxTtlMs;
  }

  #connect(): Connection {
    const connection = new Connection(this.#address, this.#clock, (ended) => this.#forget(ended));
    this.#open.add(connection);
    return connection;
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection);
    const index = this.#idle.findIndex((idle) => idle.connection === connection);
    if (index >= 0) this.#idle.splice(index, 1)[0]?.timer.cancel();
    const [next] = this.#waiting;
    if (next !== undefined && !this.#closed) next.take(this.#connect());
  }
}
