/** Several servers of one engine: the first that can tell is believed. One that failed is asked last for a while. */
import { PosternError, ScannerFailure, type FailureReason } from "../../errors.ts";
import type { Clock } from "../../model/clock.ts";

/** How long a server that failed stands behind the others. */
const asideMs = 10_000;

export interface EngineServersOptions<Server> {
  readonly clock: Clock;
  /** Failures that speak of the server and not of the message; usually `down` alone. */
  readonly tryNext?: readonly FailureReason[];
  /** Told of a server in whose place the next one is asked: nobody else hears that it is gone. */
  readonly passedOver?: (server: Server, failure: ScannerFailure) => void;
}

export class EngineServers<Server> {
  readonly #all: readonly Server[];
  readonly #clock: Clock;
  readonly #tryNext: readonly FailureReason[];
  readonly #passedOver: EngineServersOptions<Server>["passedOver"];
  /** Monotonic. */
  readonly #asideUntil = new Map<Server, number>();

  /** At least one, in the order of preference. */
  constructor(all: readonly Server[], { clock, tryNext = ["down"], passedOver }: EngineServersOptions<Server>) {
    this.#all = all;
    this.#clock = clock;
    this.#tryNext = tryNext;
    this.#passedOver = passedOver;
  }

  /** Calls `call` with one server after the other while they fail for a reason of `tryNext`. Rejects with the failure of the last one. */
  async ask<T>(signal: AbortSignal, call: (server: Server) => Promise<T>): Promise<T> {
    let last: { readonly server: Server; readonly failure: ScannerFailure } | undefined;
    for (const server of this.#inOrder()) {
      if (last !== undefined) this.#passedOver?.(last.server, last.failure);
      try {
        const answer = await call(server);
        this.#asideUntil.delete(server);
        return answer;
      } catch (error) {
        if (signal.aborted) {
          if (isDeadline(signal.reason)) this.#putAside(server);
          throw error; // there is no time for another
        }
        if (!(error instanceof ScannerFailure) || !this.#tryNext.includes(error.reason)) throw error;
        this.#putAside(server);
        last = { server, failure: error };
      }
    }
    throw last?.failure ?? new ScannerFailure("down", "there is nobody to ask");
  }

  #inOrder(): readonly Server[] {
    if (this.#asideUntil.size === 0) return this.#all;
    const now = this.#clock.monotonic();
    const isAside = (server: Server): boolean => (this.#asideUntil.get(server) ?? 0) > now;
    return this.#all.toSorted((one, other) => Number(isAside(one)) - Number(isAside(other)));
  }

  #putAside(server: Server): void {
    this.#asideUntil.set(server, this.#clock.monotonic() + asideMs);
  }
}

/** When the client is gone a scan is called off, too, but that is not the server's fault. */
function isDeadline(reason: unknown): boolean {
  return reason instanceof PosternError && reason.code === "DEADLINE_EXCEEDED";
}
