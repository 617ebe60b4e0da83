/** Who was known a moment ago, without asking the store again: bounded, and forgotten before the store forgets. */

const maxKept = 20_000;

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
        break;
      }
    this.#until.set(key, until);
  }
}
