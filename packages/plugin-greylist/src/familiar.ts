/** Who was known a moment ago, without asking the store again: bounded, and forgotten before the store forgets. */
import { dropOldest } from "@postern/core";

const maxKept = 20_000;
/** Of too many. */
const dropped = 200;

export class Familiar {
  readonly #until = new Map<string, number>();

  has(key: string, now: number): boolean {
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (until > now) return true;
    this.#until.delete(key);
    return false;
  }

  add(key: string, until: number): void {
    if (this.#until.size >= maxKept) dropOldest(this.#until, dropped);
    this.#until.set(key, until);
  }
}
