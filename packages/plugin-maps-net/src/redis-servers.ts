/**
 * One connection to the first of some Redis servers that can be reached, shared by all lookups, whose number is bounded. A lookup
 * whose connection was closed under it is asked once more at once.
 */
import type { Clock } from "@postern/core";
import type { Endpoint } from "./endpoint.ts";
import { ExchangeError } from "./exchange-error.ts";
import { RedisLink, type RedisLogin } from "./redis-link.ts";
import { ServerOrder } from "./server-order.ts";

export interface RedisServersOptions {
  readonly endpoints: readonly Endpoint[];
  readonly login: RedisLogin;
  readonly clock: Clock;
  /** For one lookup with all that belongs to it. */
  readonly timeoutMs: number;
  /** Lookups under way. */
  readonly waiting: number;
}

export class RedisServers {
  readonly #options: RedisServersOptions;
  readonly #order: ServerOrder;
  #link: RedisLink | undefined;
  #waiting = 0;
  #closed = false;

  constructor(options: RedisServersOptions) {
    this.#options = options;
    this.#order = new ServerOrder(options.endpoints, options.clock);
  }

  /** `read` throws for a reply that this command cannot have; the connection is over then. Rejects with `ExchangeError`. */
  async ask<T>(command: readonly string[], read: (reply: unknown) => T, signal?: AbortSignal): Promise<T> {
    const { clock, timeoutMs, waiting } = this.#options;
    if (this.#closed) throw closedError();
    if (this.#waiting >= waiting) throw new ExchangeError("busy", `more than ${waiting} lookups are waiting`);
    const attempt: Attempt = { over: false, link: undefined };
    const giveUp = (why: string) => {
      attempt.over = true;
      // A server that is silent for one is silent for all behind it, too.
      attempt.link?.end(new ExchangeError("late", why));
    };
    const timer = clock.setTimer(() => giveUp(`no answer within ${timeoutMs} ms`), timeoutMs);
    const abandon = () => (attempt.over = true);
    signal?.addEventListener("abort", abandon, { once: true });
    this.#waiting++;
    try {
      return await this.#try(command, read, attempt);
    } finally {
      this.#waiting--;
      timer.cancel();
      signal?.removeEventListener("abort", abandon);
    }
  }

  close(): void {
    this.#closed = true;
    this.#link?.end(closedError());
  }

  async #try<T>(command: readonly string[], read: (reply: unknown) => T, attempt: Attempt): Promise<T> {
    const tried = new Set<Endpoint>();
    for (let attempts = 1; ; attempts++) {
      const link = (attempt.link = this.#take(tried));
      try {
        const reply = readReply(await link.ask(command), read);
        this.#order.answered(link.endpoint);
        return reply;
      } catch (caught) {
        const error = caught instanceof ExchangeError ? caught : new ExchangeError("lost", "failed", { cause: caught });
        const { trouble, onlyThisKey } = error;
        if (onlyThisKey) throw error;
        const closedWhileIdle = trouble === "lost" && link.answers > 0;
        if (!closedWhileIdle) {
          tried.add(link.endpoint);
          this.#order.failed(link.endpoint);
        }
        const others = tried.size < this.#order.count;
        // After rubbish nobody knows whose the next answer is; a server that denies everything is left for the next one.
        if (trouble === "rubbish" || (trouble === "denied" && others)) link.end(error);
        const again = others ? trouble !== "late" : trouble === "lost" && attempts === 1;
        if (!again || attempt.over || this.#closed || attempts > this.#order.count) throw error;
      }
    }
  }

  #take(tried: ReadonlySet<Endpoint>): RedisLink {
    // Also one that another lookup has made to a server that had failed this one.
    if (this.#link?.usable === true) return this.#link;
    const { login, timeoutMs } = this.#options;
    this.#link = new RedisLink(this.#order.choose(tried), login, timeoutMs, (ended) => {
      if (this.#link === ended) this.#link = undefined;
    });
    return this.#link;
  }
}

function readReply<T>(reply: unknown, read: (reply: unknown) => T): T {
  try {
    return read(reply);
  } catch (cause) {
    throw new ExchangeError("rubbish", "a reply of a kind that the command cannot have", { cause });
  }
}

interface Attempt {
  over: boolean;
  link: RedisLink | undefined;
}

function closedError(): ExchangeError {
  return new ExchangeError("closed", "the table is closed");
}
