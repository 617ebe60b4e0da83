/** One line of a pattern table, split into its parts (regexp_table(5), pcre_table(5)). Pure syntax: nothing is compiled here. */
import { parseResult, type ResultTemplate } from "./result-template.ts";

/** What stands between the delimiters, and after them. */
export interface WrittenPattern {
  /** Octets, one a character. */
  readonly source: string;
  readonly flags: string;
  readonly negated: boolean;
}

export type WrittenRule =
  | {
      readonly kind: "match";
      readonly patterns: readonly [WrittenPattern, WrittenPattern?];
      readonly result: ResultTemplate;
    }
  | { readonly kind: "if"; readonly pattern: WrittenPattern }
  | { readonly kind: "endif" };

/** How the two types differ in syntax and in words. */
export interface RuleDialect {
  /** Flags that toggle something. */
  readonly flags: string;
  /** Flags that did something once and are told of. */
  readonly obsoleteFlags: string;
  /** `/pattern1/!/pattern2/` */
  readonly secondPattern: boolean;
  readonly unclosed: string;
  readonly outOfRange: string;
}

export interface RuleContext {
  readonly dialect: RuleDialect;
  /** How many `if` are open. */
  readonly nesting: number;
  readonly withoutSubstitution: boolean;
  readonly warn: (text: string) => void;
}

const blank = /[ \t\v\f\r\n]/;
const alphanumeric = /[A-Za-z0-9]/;

/** `undefined`: the rule is wrong, and `warn` was told. `text` holds octets, and is not empty. */
export function parseRule(text: string, context: RuleContext): WrittenRule | undefined {
  if (!alphanumeric.test(text.charAt(0))) return parseMatch(text, context);
  if (/^if(?![a-z0-9])/i.test(text)) return parseIf(text, context);
  if (/^endif(?![a-z0-9])/i.test(text)) return parseEndif(text, context);
  context.warn("ignoring unrecognized request");
  return undefined;
}

function parseMatch(text: string, context: RuleContext): WrittenRule | undefined {
  const { dialect, warn } = context;
  const first = parsePattern(text, 0, context);
  if (first === undefined) return undefined;
  const second = dialect.secondPattern && text[first.end] === "!" ? parsePattern(text, first.end, context) : undefined;
  if (second === undefined && dialect.secondPattern && text[first.end] === "!") return undefined;
  const value = text.slice(skipBlanks(text, (second ?? first).end));
  if (value === "") warn("no replacement text: using empty string");
  const result = parseResult(value, dialect.outOfRange, warn);
  if (result === undefined) {
    warn("bad replacement syntax: skipping this rule");
    return undefined;
  }
  if (result.highest > 0 && first.pattern.negated) {
    warn("$number found in negative match replacement text: skipping this rule");
    return undefined;
  }
  if (result.highest > 0 && context.withoutSubstitution) {
    warn("regular expression substitution is not allowed: skipping this rule");
    return undefined;
  }
  return { kind: "match", patterns: second === undefined ? [first.pattern] : [first.pattern, second.pattern], result };
}

function parseIf(text: string, context: RuleContext): WrittenRule | undefined {
  const parsed = parsePattern(text, skipBlanks(text, 2), context);
  if (parsed === undefined) return undefined;
  const extra = text.slice(skipBlanks(text, parsed.end));
  if (extra !== "") {
    context.warn(`ignoring extra text after IF statement: "${extra}"`);
    context.warn("do not prepend whitespace to statements between IF and ENDIF");
  }
  return { kind: "if", pattern: parsed.pattern };
}

function parseEndif(text: string, { nesting, warn }: RuleContext): WrittenRule | undefined {
  if (nesting === 0) {
    warn("ignoring ENDIF without matching IF");
    return undefined;
  }
  if (skipBlanks(text, 5) < text.length) warn("ignoring extra text after ENDIF");
  return { kind: "endif" };
}

function parsePattern(
  text: string,
  start: number,
  { dialect, warn }: RuleContext,
): { pattern: WrittenPattern; end: number } | undefined {
  let at = start;
  let negated = false;
  for (; text[at] === "!" || blank.test(text.charAt(at)); at++) if (text[at] === "!") negated = !negated;
  const delimiter = text[at];
  if (delimiter === undefined) {
    warn("no regexp: skipping this rule");
    return undefined;
  }
  const end = closingDelimiter(text, at + 1, delimiter);
  if (end < 0) {
    warn(`no closing regexp delimiter "${delimiter}": ${dialect.unclosed} this rule`);
    return undefined;
  }
  const source = text.slice(at + 1, end);
  let flags = "";
  for (at = end + 1; at < text.length && !blank.test(text.charAt(at)); at++) {
    const flag = text.charAt(at);
    if (flag === "!" && dialect.secondPattern) break;
    if (dialect.obsoleteFlags.includes(flag)) warn(`ignoring obsolete regexp option "${flag}"`);
    else if (dialect.flags.includes(flag)) flags += flag;
    else {
      warn(`unknown regexp option "${flag}": skipping this rule`);
      return undefined;
    }
  }
  return { pattern: { source, flags, negated }, end: at };
}

/** The next delimiter that no backslash takes; -1 without one. */
function closingDelimiter(text: string, start: number, delimiter: string): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === delimiter) return at;
  }
  return -1;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (at < text.length && blank.test(text.charAt(at))) at++;
  return at;
}

/** Whether a flag that toggles is on: the default, turned over as often as it is written. */
export function isOn(flags: string, flag: string, fallback: boolean): boolean {
  return (flags.split(flag).length - 1) % 2 === 1 ? !fallback : fallback;
}
