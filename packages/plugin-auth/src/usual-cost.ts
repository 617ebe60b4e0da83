/** What a check of this table's hashes usually costs, so that an unknown name can cost the same. */
import { usualCosts } from "./hash.ts";

/** Different costs that are counted; a table with more has no usual one anyway. */
const mostCosts = 32;

export class UsualCost {
  readonly #counts = new Map<string, number>();
  #usual: string = usualCosts.scrypt;

  /** A hash of this cost was seen. */
  note(cost: string): void {
    const count = (this.#counts.get(cost) ?? 0) + 1;
    if (count === 1 && this.#counts.size >= mostCosts) return;
    this.#counts.set(cost, count);
    if (count > (this.#counts.get(this.#usual) ?? 0)) this.#usual = cost;
  }

  get usual(): string {
    return this.#usual;
  }
}
