/**
 * A policy service as a word asks it: over a connection that is kept, again when it failed, and at last not at all. Postfix's
 * attr_clnt(3), with a limit on the whole.
 */
import type { Clock, Timer } from "@postern/core";
import type { Address } from "../address.ts";
import { Connections, type ConnectionLimits } from "./connections.ts";
import { Trouble } from "./trouble.ts";

export interface ServiceSettings extends ConnectionLimits {
  readonly address: Address;
  /** The name in the config, else the address. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly tryLimit: number;
  readonly retryDelayMs: number;
  readonly defaultAction: string;
  readonly context: string;
}

export class Service {
  readonly settings: ServiceSettings;
  readonly #clock: Clock;
  readonly #connections: Connections;
  /** For one question with all its tries. */
  readonly #wholeMs: number;
  readonly #pauses = new Set<{ readonly timer: Timer; readonly stop: (trouble: Trouble) => void }>();

  /** `deadlineMs`: the whole may not take longer, whatever the settings say. */
  constructor(settings: ServiceSettings, clock: Clock, deadlineMs: number | undefined) {
    this.settings = settings;
    this.#clock = clock;
    this.#connections = new Connections(settings.address, clock, settings);
    this.#wholeMs = Math.min(deadlineMs ?? Infinity, longestAsk(settings));
  }

  /** The action, which may be empty. Rejects with `Trouble`. */
  async ask(request: string): Promise<string> {
    const { timeoutMs, tryLimit, retryDelayMs } = this.settings;
    const clock = this.#clock;
    const startedAt = clock.monotonic();
    let fresh = false;
    for (let tries = 0; ;) {
      const left = this.#wholeMs - (clock.monotonic() - startedAt);
      if (left <= 0) throw new Trouble("late", `no answer within ${this.#wholeMs} ms`);
      const patience = Math.min(timeoutMs, left);
      const taken = this.#connections.take(patience, fresh);
      const askedAt = clock.monotonic();
      const connection = taken instanceof Promise ? await taken : taken;
      const waitedMs = clock.monotonic() - askedAt;
      const kept = connection.answers > 0;
      try {
        const action = readAction(await connection.ask(request, patience - waitedMs));
        this.#connections.release(connection);
        return action;
      } catch (error) {
        connection.end();
        const trouble = error instanceof Trouble ? error : new Trouble("lost", "it failed", { cause: error });
        // A service may close a connection that stands idle, and nobody tells before the next question is sent.
        const closedWhileIdle = trouble.kind === "lost" && kept && !connection.partial && !fresh;
        fresh = true;
        if (closedWhileIdle) continue;
        tries += 1;
        const over = clock.monotonic() - startedAt + retryDelayMs >= this.#wholeMs;
        if (tries >= tryLimit || over || trouble.kind === "closed") throw trouble;
        await this.#pause(retryDelayMs);
      }
    }
  }

  close(): void {
    for (const pause of this.#pauses) pause.stop(new Trouble("closed", "the gateway is closing"));
    this.#connections.close();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => {
        this.#pauses.delete(pause);
        resolve();
      }, delayMs);
      const stop = (trouble: Trouble): void => {
        timer.cancel();
        this.#pauses.delete(pause);
        reject(trouble);
      };
      const pause = { timer, stop };
      this.#pauses.add(pause);
    });
  }
}

/** Milliseconds that the settings allow for all tries together. */
export function longestAsk(settings: Pick<ServiceSettings, "timeoutMs" | "tryLimit" | "retryDelayMs">): number {
  const { timeoutMs, tryLimit, retryDelayMs } = settings;
  // One more for a connection that was closed while it stood idle.
  return (tryLimit + 1) * timeoutMs + (tryLimit - 1) * retryDelayMs;
}

/** The first `action` counts and other attributes are passed over, as in Postfix. */
function readAction(answer: string): string {
  for (const line of answer.split("\n")) {
    const equals = line.indexOf("=");
    if (equals <= 0) throw new Trouble("rubbish", `malformed answer "${printable(line)}"`);
    if (line.slice(0, equals).trim() !== "action") continue;
    return line.slice(equals + 1).trim();
  }
  throw new Trouble("rubbish", "an answer without an action");
}

/** What a service sent, cut and made harmless for the log. */
export function printable(text: string): string {
  return text.slice(0, 100).replace(/[^ -~]/g, "?");
}
