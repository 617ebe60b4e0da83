/** Who was known a moment ago, without asking the store again: bounded, and forgotten before the store forgets. */

const maxKept = 20_000;
/** The oldest go together: to find the oldest of a map takes as long as it has lost entries since it last grew. */
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
    if (this.#until.size >= maxKept)
      for (const oldest of this.#until.keys()) {
        this.#until.delete(oldest);
        if (this.#until.size <= maxKept - dropped) break;
      }
    this.#until.set(key, until);
  }
}
