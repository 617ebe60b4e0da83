/** Warnings that mail can cause: one line in a minute for each matter, with the number of those that were left out. */
import type { Clock } from "@postern/core";

const quietMs = 60_000;

export class Notes {
  readonly #clock: Clock;
  readonly #warn: (text: string) => void;
  readonly #told = new Map<string, { at: number; silent: number }>();

  constructor(clock: Clock, warn: (text: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  /** `matter`: one of a fixed number of names. True when it was told. */
  warn(matter: string, text: string): boolean {
    const now = this.#clock.monotonic();
    const told = this.#told.get(matter);
    if (told !== undefined && now - told.at < quietMs) {
      told.silent += 1;
      return false;
    }
    const more = told === undefined || told.silent === 0 ? "" : ` (and ${told.silent} more since the last such line)`;
    this.#told.set(matter, { at: now, silent: 0 });
    this.#warn(`${text}${more}`);
    return true;
  }
}
