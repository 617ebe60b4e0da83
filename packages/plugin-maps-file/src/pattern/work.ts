/** How much one lookup may cost, so that no pattern and no key hold up the gateway. */

/** A lookup cost more than it may: there is no answer for this key. */
export class OverLimit extends Error {}

/** Steps of a matcher that are counted: some nanoseconds each. */
const stepsPerLookup = 10_000_000;

export class WorkLimit {
  #left = stepsPerLookup;

  /** A new lookup begins. */
  restart(): void {
    this.#left = stepsPerLookup;
  }

  /** Throws `OverLimit` when the lookup has had its share. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new OverLimit("it costs too much to match");
  }
}
