/** The engine of `pcre`: PCRE2 in WebAssembly, over octets, with a match limit in each pattern. */
import { buildAutomaton, type Automaton } from "../posix/automaton.ts";
import { ExpressionError } from "../posix/expression.ts";
import { LazyMatcher } from "../posix/lazy-matcher.ts";
import type { CompiledPattern, PatternEngine } from "../engine.ts";
import type { Matcher, Subject } from "../matcher.ts";
import { requiredLiterals } from "../prefilter/shape.ts";
import { isOn, type WrittenPattern } from "../rule.ts";
import { OverLimit, type WorkLimit } from "../work.ts";
import { LibraryFull, MatchFailed, Pcre2Library, type Code } from "./library.ts";
import { toOctetPattern, toSubject, type OctetPattern, type SubjectForm } from "./octet-pattern.ts";
import { toRegular, type RegularFlags } from "./regular.ts";
import { shapeOf } from "./shape-of.ts";
import type { WasmModule } from "./web-assembly.ts";

/** Backtracking steps of one pattern: about 60 ms. Postfix's is ten times as high. */
export const matchLimit = 1_000_000;

/** Milliseconds that all patterns of a lookup may take together. */
const lookupMs = 200;

/** Calls between two looks at the clock. */
const callsPerLook = 4;

/** Larger patterns are left to PCRE2. */
const mostNodes = 5_000;

/** A library and what it was last asked about. */
interface Shelf {
  readonly library: Pcre2Library;
  subject: Subject | undefined;
  form: SubjectForm;
  units: number;
}

export class Pcre2Engine implements PatternEngine {
  readonly #module: WasmModule;
  readonly #work: WorkLimit;
  #shelf: Shelf | undefined;
  readonly #clock = new LookupClock();

  constructor(module: WasmModule, work: WorkLimit) {
    this.#module = module;
    this.#work = work;
  }

  compile({ source, flags }: WrittenPattern): CompiledPattern | string {
    const on = (flag: string, fallback: boolean) => isOn(flags, flag, fallback);
    const extended = on("x", false);
    const anchored = on("A", false);
    const library = (on("i", true) ? "i" : "") + (on("m", false) ? "m" : "") + (on("s", true) ? "s" : "");
    const pattern = toOctetPattern(source, {
      matchLimit,
      ungreedy: on("U", false),
      dollarEndOnly: on("E", false) && !on("m", false),
    });
    const matcher = this.#compile(pattern, library + (extended ? "x" : ""), anchored);
    if (typeof matcher === "string") return matcher;
    const shape = pattern.form === "unicode" ? undefined : shapeOf(source, extended);
    const literals = shape === undefined ? undefined : requiredLiterals(shape);
    const plain = pattern.form === "private" && !extended && !on("m", false);
    const flagsOfRegular = { ignoreCase: on("i", true), dotAll: on("s", true), anchored };
    const regular = plain ? this.#regular(source, flagsOfRegular) : undefined;
    if (regular === undefined) return { matcher, literals };
    const { automaton, hasDollar } = regular;
    const anywhere = new LazyMatcher(automaton, this.#work, { anchored: false });
    return { matcher: new RegularMatcher(matcher, anywhere, hasDollar), literals, automaton };
  }

  /** None for a pattern that is not regular, or is too large as an automaton. */
  #regular(source: string, flags: RegularFlags): { automaton: Automaton; hasDollar: boolean } | undefined {
    const regular = toRegular(source, flags);
    if (regular === undefined) return undefined;
    try {
      return { automaton: buildAutomaton(regular, false, mostNodes), hasDollar: regular.hasDollar };
    } catch (error) {
      if (error instanceof ExpressionError) return undefined;
      throw error;
    }
  }

  /** A pattern of this project's own making, over octets by number. */
  compileText(text: string, flags: string): Matcher | string {
    const pattern = toOctetPattern(text, { matchLimit, ungreedy: false, dollarEndOnly: false });
    return this.#compile(pattern, flags, false);
  }

  #compile(pattern: OctetPattern, flags: string, anchored: boolean): Matcher | string {
    for (let attempt = 0; ; attempt++) {
      const shelf = (this.#shelf ??= this.#openShelf());
      try {
        const code = shelf.library.compile(pattern.text, flags);
        if (!("code" in code)) {
          return `error in regex at offset ${pattern.sourceOffset(code.offset)}: ${code.message}`;
        }
        return new PcreMatcher(shelf, code, pattern.form, anchored, this.#work, this.#clock);
      } catch (error) {
        if (!(error instanceof LibraryFull)) throw error;
        if (attempt > 0) return "error in regex at offset 0: no more memory";
        this.#shelf = undefined;
      }
    }
  }

  #openShelf(): Shelf {
    const library = new Pcre2Library(this.#module);
    // Room for keys before patterns take all.
    library.setSubject(" ".repeat(16_384));
    return { library, subject: undefined, form: "private", units: 0 };
  }
}

/** The time that a lookup takes, looked at now and then. */
class LookupClock {
  #subject: Subject | undefined;
  #calls = 0;
  #end = 0;

  tick(subject: Subject): void {
    if (this.#subject !== subject) {
      this.#subject = subject;
      this.#calls = 0;
      this.#end = performance.now() + lookupMs;
      return;
    }
    if (++this.#calls % callsPerLook !== 0) return;
    if (performance.now() > this.#end) throw new OverLimit("its patterns take too long");
  }
}

class PcreMatcher implements Matcher {
  readonly groups: number;
  readonly #shelf: Shelf;
  readonly #code: Code;
  readonly #form: SubjectForm;
  readonly #anchored: boolean;
  readonly #work: WorkLimit;
  readonly #clock: LookupClock;

  constructor(shelf: Shelf, code: Code, form: SubjectForm, anchored: boolean, work: WorkLimit, clock: LookupClock) {
    this.groups = code.groups;
    this.#shelf = shelf;
    this.#code = code;
    this.#form = form;
    this.#anchored = anchored;
    this.#work = work;
    this.#clock = clock;
  }

  matches(subject: Subject): boolean {
    const shelf = this.#shelf;
    this.#clock.tick(subject);
    this.#work.spend(32);
    try {
      this.#present(subject);
      if (!shelf.library.match(this.#code, shelf.units)) return false;
    } catch (error) {
      if (error instanceof MatchFailed) throw new OverLimit(error.message);
      if (error instanceof LibraryFull) throw new OverLimit("no more memory");
      throw error;
    }
    // The leftmost match: when it is not at the start, there is none at the start.
    return !this.#anchored || shelf.library.group(this.#code, 0)[0] === 0;
  }

  group(subject: Subject, group: number): string {
    const [start, end] = this.#shelf.library.group(this.#code, group);
    if (start < 0 || end <= start) return "";
    // Private characters are octets one for one; a pattern that sees characters gives characters.
    if (this.#form !== "unicode") return subject.octets.slice(start, end);
    return Buffer.from(subject.text.slice(start, end), "utf8").toString("latin1");
  }

  #present(subject: Subject): void {
    const shelf = this.#shelf;
    if (shelf.subject === subject && shelf.form === this.#form) return;
    const text = toSubject(subject.text, subject.octets, this.#form);
    shelf.subject = undefined;
    shelf.library.setSubject(text);
    shelf.subject = subject;
    shelf.form = this.#form;
    shelf.units = text.length;
  }
}

/** Matches by an automaton, and asks PCRE2 only what the groups took. */
class RegularMatcher implements Matcher {
  readonly groups: number;
  readonly #pcre: Matcher;
  readonly #automaton: LazyMatcher;
  readonly #hasDollar: boolean;
  /** The key that PCRE2 matched last. */
  #matched: Subject | undefined;

  constructor(pcre: Matcher, automaton: LazyMatcher, hasDollar: boolean) {
    this.groups = pcre.groups;
    this.#pcre = pcre;
    this.#automaton = automaton;
    this.#hasDollar = hasDollar;
  }

  matches(subject: Subject): boolean {
    this.#matched = undefined;
    if (!this.#hasDollar || !subject.octets.endsWith("\n")) return this.#automaton.test(subject.octets);
    const matches = this.#pcre.matches(subject);
    this.#matched = subject;
    return matches;
  }

  group(subject: Subject, group: number, highest: number): string {
    if (this.#matched !== subject) this.#pcre.matches(subject);
    this.#matched = subject;
    return this.#pcre.group(subject, group, highest);
  }
}
