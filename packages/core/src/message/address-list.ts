/**
 * The addresses of a header field (RFC 5322 §3.4) and where they stand in it, so that one can be replaced and every other octet stays.
 * Tolerant as Postfix: operators may have blanks around them, comments may stand anywhere, groups and source routes are known. What is
 * no address is left out: a phrase alone, two words side by side, what follows a closed angle bracket. Linear in the text.
 */

/** One address. Offsets are in the text that was given. */
export interface AddressSpan {
  readonly start: number;
  readonly end: number;
  /** Without comments, blanks and folding; quoted strings and literals with their marks. */
  readonly text: string;
  /** Those that stand within, as written, with a blank before each; usually none. */
  readonly comments: string;
}

/** Of the words and operators between two commas; more are no address. */
const mostTokens = 200;

type TokenKind = "word" | "operator" | "comment";
interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** An operator is its character. */
  readonly text: string;
}

const operators = new Set('()<>@,;:".[]|%!');
const folding = /[\r\n]+/g;

/**
 * Those that end within the first `mostCharacters` of `value`, which is what stands behind a field's colon, with its folding. Nothing is
 * left out but what is behind them.
 */
export function findAddresses(value: string, mostCharacters = Number.POSITIVE_INFINITY): readonly AddressSpan[] {
  const found: AddressSpan[] = [];
  const grouped = value.includes(";");
  let segment: Token[] = [];
  let angle = -1;
  const flush = (): void => {
    const span = addressOf(segment);
    if (span !== undefined) found.push(span);
    segment = [];
  };
  for (const token of tokensOf(value)) {
    if (token.end > mostCharacters) return found;
    if (token.kind === "operator" && angle < 0 && isSeparator(token.text, grouped)) {
      // The words before a colon are a group's name.
      if (token.text === ":") segment = [];
      else flush();
    } else {
      if (token.text === "<" && token.kind === "operator") angle = token.start;
      else if (token.text === ">" && token.kind === "operator") angle = -1;
      if (segment.length <= mostTokens) segment.push(token);
    }
  }
  flush();
  return found;
}

/** Without a semicolon there is no group, and a colon is part of an odd address. */
function isSeparator(text: string, grouped: boolean): boolean {
  return text === "," || text === ";" || (grouped && text === ":");
}

/** The one address of what stands between two separators. */
function addressOf(segment: readonly Token[]): AddressSpan | undefined {
  if (segment.length > mostTokens) return undefined;
  const tokens = trimComments(segment);
  const open = tokens.findIndex(({ kind, text }) => kind === "operator" && text === "<");
  if (open < 0) return spanOf(tokens);
  const close = tokens.findIndex(({ kind, text }, at) => at > open && kind === "operator" && text === ">");
  return close < 0 ? undefined : spanOf(trimComments(tokens.slice(open + 1, close)));
}

function trimComments(tokens: readonly Token[]): readonly Token[] {
  const start = tokens.findIndex(({ kind }) => kind !== "comment");
  const last = tokens.findLastIndex(({ kind }) => kind !== "comment");
  return start < 0 ? [] : tokens.slice(start, last + 1);
}

function spanOf(tokens: readonly Token[]): AddressSpan | undefined {
  const [first] = tokens;
  const last = tokens.at(-1);
  if (first === undefined || last === undefined) return undefined;
  let written = "";
  let comments = "";
  let previous: TokenKind = "operator";
  for (const { kind, text } of tokens) {
    if (kind === "comment") {
      comments += ` ${text}`;
      continue;
    }
    // Two words side by side are a phrase, and what a bracket begins twice nobody can tell.
    if ((kind === "word" && previous === "word") || (kind === "operator" && (text === "<" || text === ">"))) {
      return undefined;
    }
    written += text;
    previous = kind;
  }
  return { start: first.start, end: last.end, text: written, comments };
}

function* tokensOf(value: string): Generator<Token> {
  let at = 0;
  while (at < value.length) {
    const character = value.charAt(at);
    if (isBlank(character)) {
      at += 1;
      continue;
    }
    const start = at;
    if (character === "(") {
      at = endOfComment(value, start);
      yield { kind: "comment", start, end: at, text: value.slice(start, at) };
    } else if (character === '"' || character === "[") {
      at = endOfQuoted(value, start, character === '"' ? '"' : "]");
      yield { kind: "word", start, end: at, text: value.slice(start, at).replace(folding, "") };
    } else if (operators.has(character)) {
      at += 1;
      yield { kind: "operator", start, end: at, text: character };
    } else {
      at = endOfAtom(value, start);
      yield { kind: "word", start, end: at, text: value.slice(start, at) };
    }
  }
}

const isBlank = (character: string): boolean =>
  character === " " || character === "\t" || character === "\r" || character === "\n";

function endOfAtom(value: string, start: number): number {
  let at = start;
  while (at < value.length) {
    const character = value.charAt(at);
    if (isBlank(character) || operators.has(character)) break;
    // A line break cannot be quoted.
    at += character === "\\" && !/[\r\n]/.test(value.charAt(at + 1)) ? 2 : 1;
  }
  return Math.min(at, value.length);
}

function endOfQuoted(value: string, start: number, mark: string): number {
  let at = start + 1;
  while (at < value.length && value.charAt(at) !== mark) at += value.charAt(at) === "\\" ? 2 : 1;
  return at < value.length ? at + 1 : endOfText(value);
}

/** What is never closed ends before the field's own line break. */
function endOfText(value: string): number {
  let at = value.length;
  while (at > 0 && isBlank(value.charAt(at - 1))) at -= 1;
  return at;
}

/** Comments nest. */
function endOfComment(value: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < value.length) {
    const character = value.charAt(at);
    if (character === "\\") at += 1;
    else if (character === "(") depth += 1;
    else if (character === ")") depth -= 1;
    at += 1;
    if (depth === 0) break;
  }
  return Math.min(at, value.length);
}
