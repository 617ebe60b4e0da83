/** Errors of a client between two messages: too many end the session, and the tarpit is asked about new ones. */
import type { Verb } from "./transitions.ts";

/** Commands that lead nowhere. */
export const junk: ReadonlySet<Verb> = new Set(["HELO", "EHLO", "RSET", "NOOP", "VRFY", "STARTTLS", "XCLIENT"]);

export class ErrorCount {
  total = 0;
  /** Of those, whom the tarpit has heard of. */
  #told = 0;
  #junk = 0;

  /** One more; gives the total. */
  add(): number {
    this.total += 1;
    return this.total;
  }

  /** One more command that led nowhere; gives how many. */
  addJunk(): number {
    this.#junk += 1;
    return this.#junk;
  }

  /** Are there any since it was last asked? */
  takeNews(): boolean {
    const isNew = this.total !== this.#told;
    this.#told = this.total;
    return isNew;
  }

  /** A message was accepted. */
  reset(): void {
    this.total = 0;
    this.#told = 0;
    this.#junk = 0;
  }
}
