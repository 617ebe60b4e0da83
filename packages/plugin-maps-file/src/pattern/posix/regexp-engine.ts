/** The engine of `regexp`: automata whose cost is the key's length, and PCRE2 where back references are. */
import type { Pcre2Engine } from "../pcre/pcre-engine.ts";
import type { CompiledPattern, PatternEngine } from "../engine.ts";
import type { Matcher, Subject } from "../matcher.ts";
import { isOn, type WrittenPattern } from "../rule.ts";
import type { WorkLimit } from "../work.ts";
import { buildAutomaton, type Automaton } from "./automaton.ts";
import { findGroups, type Groups } from "./captures.ts";
import { ExpressionError, type ExpressionFlags } from "./expression.ts";
import { LazyMatcher } from "./lazy-matcher.ts";
import { parseExpression } from "./parse-expression.ts";
import { requiredLiterals } from "../prefilter/shape.ts";
import { shapeOf } from "./shape-of.ts";
import { toPcre } from "./to-pcre.ts";

export class RegexpEngine implements PatternEngine {
  readonly #work: WorkLimit;
  readonly #pcre: Pcre2Engine;

  constructor(work: WorkLimit, pcre: Pcre2Engine) {
    this.#work = work;
    this.#pcre = pcre;
  }

  compile({ source, flags }: WrittenPattern): CompiledPattern | string {
    const syntax: ExpressionFlags = {
      ignoreCase: isOn(flags, "i", true),
      newline: isOn(flags, "m", false),
      extended: isOn(flags, "x", true),
    };
    try {
      const parsed = parseExpression(source, syntax);
      const literals = requiredLiterals(shapeOf(parsed));
      if (parsed.hasBackReference) {
        const matcher = this.#pcre.compileText(toPcre(parsed, syntax.newline), syntax.ignoreCase ? "is" : "s");
        return typeof matcher === "string" ? matcher : { matcher, literals };
      }
      const automaton = buildAutomaton(parsed, syntax.newline);
      return { matcher: new RegexpMatcher(automaton, this.#work), literals, automaton };
    } catch (error) {
      if (error instanceof ExpressionError) return error.message;
      if (error instanceof RangeError) return "Regular expression too big";
      throw error;
    }
  }
}

class RegexpMatcher implements Matcher {
  readonly groups: number;
  readonly #automaton: Automaton;
  readonly #work: WorkLimit;
  readonly #anywhere: LazyMatcher;
  #anchored: LazyMatcher | undefined;
  #found: { readonly subject: Subject; readonly groups: Groups } | undefined;

  constructor(automaton: Automaton, work: WorkLimit) {
    this.groups = automaton.groups;
    this.#automaton = automaton;
    this.#work = work;
    this.#anywhere = new LazyMatcher(automaton, work, { anchored: false });
  }

  matches(subject: Subject): boolean {
    return this.#anywhere.test(subject.octets);
  }

  group(subject: Subject, group: number, highest: number): string {
    if (this.#found?.subject !== subject) this.#found = { subject, groups: this.#findGroups(subject.octets, highest) };
    const { starts, ends } = this.#found.groups;
    const start = starts[group] ?? -1;
    return start < 0 ? "" : subject.octets.slice(start, ends[group]);
  }

  #findGroups(octets: string, highest: number): Groups {
    this.#anchored ??= new LazyMatcher(this.#automaton, this.#work, { anchored: true });
    for (let start = 0; start <= octets.length; start++) {
      const end = this.#anchored.longest(octets, start);
      if (end >= 0) return findGroups(this.#automaton, octets, start, end, highest, this.#work);
    }
    throw new Error("a match that is found and not found");
  }
}
