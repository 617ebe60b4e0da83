/** The compiled rules of one version of a table: the first that matches answers. */
import type { RuleLine, RuleWarning } from "../rules/rule-lines.ts";
import type { PatternEngine } from "./engine.ts";
import { subjectOf, toOctets, type Matcher, type Subject } from "./matcher.ts";
import type { Automaton } from "./posix/automaton.ts";
import { LiteralScan } from "./prefilter/literal-scan.ts";
import { parseRule, type RuleDialect, type WrittenPattern } from "./rule.ts";
import type { ResultTemplate } from "./result-template.ts";
import { Together } from "./together.ts";
import { OverLimit, type WorkLimit } from "./work.ts";

/** A pattern as a condition. */
interface Condition {
  readonly matcher: Matcher;
  readonly negated: boolean;
  /** Its place in the search of literals; -1: always tried. */
  readonly owner: number;
  /** Its place among those that are asked together; -1: always asked alone. */
  readonly member: number;
}

interface MatchRule {
  readonly line: number;
  readonly written: string;
  readonly first: Condition;
  readonly second: Condition | undefined;
  readonly result: ResultTemplate;
  /** The result when no group is in it. */
  readonly constant: string | undefined;
}

interface IfRule {
  readonly line: number;
  readonly first: Condition;
  /** The rule behind its `endif`; behind the last one when there is none. */
  end: number;
}

type Rule = MatchRule | IfRule;

export interface RuleAnswer {
  readonly value: string;
  readonly line: number;
  /** The rule as written, without its result. */
  readonly written: string;
}

/** The result is no UTF-8: part of a character was taken. */
export class BrokenResult extends Error {
  constructor(line: number) {
    super(`the result of line ${line} is not UTF-8`);
  }
}

export interface RuleSetOptions {
  readonly dialect: RuleDialect;
  readonly engine: PatternEngine;
  readonly work: WorkLimit;
  readonly withoutSubstitution: boolean;
  /** false: every rule is tried alone on every key; what a test compares with. */
  readonly prefilter?: boolean;
}

export class RuleSet {
  readonly #rules: readonly Rule[];
  readonly #scan: LiteralScan | undefined;
  readonly #together: Together;
  readonly #work: WorkLimit;

  constructor(lines: Iterable<RuleLine>, warn: RuleWarning, options: RuleSetOptions) {
    const compiler = new RuleCompiler(warn, options);
    for (const line of lines) compiler.add(line);
    ({ rules: this.#rules, scan: this.#scan, together: this.#together } = compiler.finish());
    this.#work = options.work;
  }

  /** Throws `OverLimit` with the line in its message, or `BrokenResult`. */
  answer(key: string): RuleAnswer | undefined {
    const rules = this.#rules;
    const subject = subjectOf(key);
    this.#work.restart();
    this.#scan?.look(subject.octets);
    this.#together.restart();
    for (let at = 0; at < rules.length;) {
      const rule = rules[at];
      if (rule === undefined) break;
      const holds = this.#holds(rule, rule.first, subject);
      if ("end" in rule) {
        at = holds ? at + 1 : rule.end;
        continue;
      }
      at++;
      if (!holds || (rule.second !== undefined && !this.#holds(rule, rule.second, subject))) continue;
      const value = rule.constant ?? this.#expand(rule, subject);
      return { value, line: rule.line, written: rule.written };
    }
    return undefined;
  }

  #holds(rule: Rule, { matcher, negated, owner, member }: Condition, subject: Subject): boolean {
    if (owner >= 0 && this.#scan?.found(owner) === false) return negated;
    const known = member < 0 ? undefined : this.#together.matches(member, subject.octets);
    if (known !== undefined) return known !== negated;
    try {
      return matcher.matches(subject) !== negated;
    } catch (error) {
      throw located(error, rule.line);
    }
  }

  #expand({ line, first, result }: MatchRule, subject: Subject): string {
    let octets = "";
    try {
      for (const part of result.parts) {
        octets += typeof part === "string" ? part : first.matcher.group(subject, part, result.highest);
      }
    } catch (error) {
      throw located(error, line);
    }
    return toText(octets, line);
  }
}

function located(error: unknown, line: number): unknown {
  return error instanceof OverLimit ? new OverLimit(`line ${line}: ${error.message}`, { cause: error }) : error;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function toText(octets: string, line: number): string {
  // eslint-disable-next-line no-control-regex
  if (/^[\u0000-\u007f]*$/.test(octets)) return octets;
  try {
    return utf8.decode(Buffer.from(octets, "latin1"));
  } catch {
    throw new BrokenResult(line);
  }
}

/** Compiles rule by rule; a wrong one is told and left out, whatever that does to an `endif`. */
class RuleCompiler {
  readonly #warn: RuleWarning;
  readonly #options: RuleSetOptions;
  readonly #rules: Rule[] = [];
  readonly #open: IfRule[] = [];
  readonly #owners: { readonly literals: readonly string[] }[] = [];
  readonly #automata: Automaton[] = [];

  constructor(warn: RuleWarning, options: RuleSetOptions) {
    this.#warn = warn;
    this.#options = options;
  }

  add({ line, text }: RuleLine): void {
    const warn = (what: string) => this.#warn(line, what);
    const octets = toOctets(text);
    const rule = parseRule(octets, { ...this.#options, nesting: this.#open.length, warn });
    if (rule === undefined) return;
    if (rule.kind === "endif") {
      const opened = this.#open.pop();
      if (opened !== undefined) opened.end = this.#rules.length;
      return;
    }
    const [one, two] = rule.kind === "if" ? [rule.pattern] : rule.patterns;
    const first = this.#condition(one, warn);
    if (first === undefined) return;
    if (rule.kind === "if") {
      const opened: IfRule = { line, first, end: Infinity };
      this.#open.push(opened);
      this.#rules.push(opened);
      return;
    }
    const { result } = rule;
    if (result.highest > first.matcher.groups) {
      warn(`out of range replacement index "${result.highest}": skipping this rule`);
      return;
    }
    const second = two === undefined ? undefined : this.#condition(two, warn);
    if (two !== undefined && second === undefined) return;
    const constant = result.highest > 0 ? undefined : toText(result.parts.join(""), line);
    this.#rules.push({ line, written: writtenPart(text), first, second, result, constant });
  }

  finish(): { rules: readonly Rule[]; scan: LiteralScan | undefined; together: Together } {
    for (const { line } of this.#open.toReversed()) this.#warn(line, "IF has no matching ENDIF");
    const scan = this.#owners.length === 0 ? undefined : new LiteralScan(this.#owners);
    return { rules: this.#rules, scan, together: new Together(this.#automata) };
  }

  #condition(pattern: WrittenPattern, warn: (text: string) => void): Condition | undefined {
    const compiled = this.#options.engine.compile(pattern);
    if (typeof compiled === "string") {
      warn(compiled);
      return undefined;
    }
    const { matcher, literals, automaton } = compiled;
    const filtered = this.#options.prefilter !== false;
    const owner = filtered && literals !== undefined ? this.#owners.push({ literals }) - 1 : -1;
    const member = filtered && automaton !== undefined ? this.#automata.push(automaton) - 1 : -1;
    return { matcher, negated: pattern.negated, owner, member };
  }
}

/** For explain: what stands before the result, shortened. */
function writtenPart(text: string): string {
  const pattern = /^[!\s]*(\S)(?:\\.|(?!\1).)*\1\S*/su.exec(text)?.[0] ?? text;
  return pattern.length > 200 ? `${pattern.slice(0, 200)}…` : pattern;
}
