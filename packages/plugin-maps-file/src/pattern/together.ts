/** The regular patterns of a table asked all together, once several of them had to be asked alone for the same key. */
import { JoinedMatcher } from "./posix/joined-matcher.ts";
import type { Automaton } from "./posix/automaton.ts";

/** Patterns that are asked alone first: most keys need no more, where literals or the order of the rules decide. */
const alone = 8;

export class Together {
  readonly #automata: readonly Automaton[];
  /** Made when it is first needed, as literals may decide always. */
  #matcher: JoinedMatcher | undefined;
  #asked = 0;
  #answers: JoinedMatcher | undefined;

  constructor(automata: readonly Automaton[]) {
    this.#automata = automata;
  }

  /** A new key comes. */
  restart(): void {
    this.#asked = 0;
    this.#answers = undefined;
  }

  /** `undefined`: the pattern has to be asked itself. */
  matches(member: number, octets: string): boolean | undefined {
    if (++this.#asked <= alone) return undefined;
    if (this.#asked === alone + 1) this.#ask(octets);
    return this.#answers?.matches(member);
  }

  #ask(octets: string): void {
    // What `$` means before a last newline is not the same for all.
    if (octets.endsWith("\n")) return;
    const matcher = (this.#matcher ??= new JoinedMatcher(this.#automata));
    if (matcher.look(octets)) this.#answers = matcher;
  }
}
