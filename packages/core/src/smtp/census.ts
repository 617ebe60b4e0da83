/** Who is connected, and how often: the counts behind the limits on sessions and their rate. Bounded in memory. */
import { networkOf } from "../address/index.ts";
import type { SmtpLimits } from "./front.ts";

export type CensusRefusal = "total" | "client" | "rate";

const minuteMs = 60_000;
/** Clients whose rate is remembered; a flood of addresses beyond it is not limited by rate, only by sessions. */
const mostRated = 20_000;

export class Census {
  #open = 0;
  readonly #openByClient = new Map<string, number>();
  #minute = Number.NaN;
  #newByClient = new Map<string, number>();

  get open(): number {
    return this.#open;
  }

  /**
   * Counts a new session, and says why it may not be. `exempt` clients are counted and never refused. A refused one is not
   * counted as open; every other one must `leave`.
   */
  enter(address: string, limits: SmtpLimits, exempt: boolean, nowMs: number): CensusRefusal | undefined {
    const client = clientKey(address);
    const open = this.#openByClient.get(client) ?? 0;
    if (!exempt) {
      if (this.#open >= limits.sessions) return "total";
      if (limits.sessionsPerClient > 0 && open >= limits.sessionsPerClient) return "client";
      if (limits.sessionsPerMinute !== undefined && this.#countNew(client, nowMs) > limits.sessionsPerMinute) {
        return "rate";
      }
    }
    this.#open += 1;
    this.#openByClient.set(client, open + 1);
    return undefined;
  }

  leave(address: string): void {
    const client = clientKey(address);
    const open = this.#openByClient.get(client) ?? 0;
    this.#open -= 1;
    if (open <= 1) this.#openByClient.delete(client);
    else this.#openByClient.set(client, open - 1);
  }

  #countNew(client: string, nowMs: number): number {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#newByClient = new Map();
    }
    const count = (this.#newByClient.get(client) ?? 0) + 1;
    if (count > 1 || this.#newByClient.size < mostRated) this.#newByClient.set(client, count);
    return count;
  }
}

/** One IPv6 client has a /64. */
function clientKey(address: string): string {
  return address.includes(":") ? (networkOf(address, { v4: 32, v6: 64 }) ?? address) : address;
}
