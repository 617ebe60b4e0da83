/** How many new triplets each client network has brought within the hour: one network alone cannot fill the store. */
import { dropOldest } from "@postern/core";

const hourMs = 3_600_000;
/** Networks that are counted; of more the first ones begin anew, and the store's quota holds. */
const maxNetworks = 50_000;
const dropped = 500;

export class Newcomers {
  readonly #most: number;
  readonly #counts = new Map<string, number>();
  #begun = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts one more; false when it is too many. `nowMs` never goes back. */
  admit(network: string, nowMs: number): boolean {
    if (nowMs - this.#begun >= hourMs) {
      this.#begun = nowMs;
      this.#counts.clear();
    }
    const count = this.#counts.get(network) ?? 0;
    if (count >= this.#most) return false;
    this.#counts.set(network, count + 1);
    if (this.#counts.size > maxNetworks) dropOldest(this.#counts, dropped);
    return true;
  }
}
