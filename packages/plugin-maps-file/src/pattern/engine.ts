/** What a table of patterns wants of the engine that compiles them. */
import type { Matcher } from "./matcher.ts";
import type { Automaton } from "./posix/automaton.ts";
import type { WrittenPattern } from "./rule.ts";

export interface CompiledPattern {
  readonly matcher: Matcher;
  /** In lower case: a key without any of them does not match. `undefined`: the pattern is always tried. */
  readonly literals: readonly string[] | undefined;
  /** It says as `matcher` does whether a key matches, but for keys that end in a newline. `undefined`: the pattern is tried. */
  readonly automaton?: Automaton | undefined;
}

export interface PatternEngine {
  /** The pattern, or what is wrong with it, as Postfix says it. */
  compile(pattern: WrittenPattern): CompiledPattern | string;
}
