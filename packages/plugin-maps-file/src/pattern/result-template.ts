/** The result of a rule: text with `$1`, `${1}`, `$(1)` and `$$` (mac_parse). */

export interface ResultTemplate {
  /** Text and group numbers in turn, text first. One element: no group. */
  readonly parts: readonly (string | number)[];
  /** The highest group; 0 when there is none. */
  readonly highest: number;
}

const closing: Readonly<Record<string, string>> = { "{": "}", "(": ")" };
const name = /[A-Za-z0-9_]*/y;

/** Tells `warn` what is wrong, in the order of Postfix, and gives `undefined` when the rule cannot be used. */
export function parseResult(
  text: string,
  outOfRange: string,
  warn: (text: string) => void,
): ResultTemplate | undefined {
  const parts: (string | number)[] = [];
  let literal = "";
  let highest = 0;
  let wrong = false;
  for (let at = 0; at < text.length;) {
    if (text[at] !== "$") {
      const dollar = text.indexOf("$", at);
      const end = dollar < 0 ? text.length : dollar;
      literal += text.slice(at, end);
      at = end;
      continue;
    }
    if (text[at + 1] === "$") {
      literal += "$";
      at += 2;
      continue;
    }
    const reference = readReference(text, at + 1);
    if (typeof reference === "string") {
      warn(`${reference}: "${text}"`);
      return undefined;
    }
    at = reference.end;
    const number = /^[0-9]+$/.test(reference.word) ? Number(reference.word) : undefined;
    if (number === undefined || number < 1) {
      warn(`${number === undefined ? "non-numeric" : outOfRange} replacement index "${reference.word}"`);
      wrong = true;
      continue;
    }
    parts.push(literal, number);
    literal = "";
    highest = Math.max(highest, number);
  }
  if (wrong) return undefined;
  if (literal !== "" || parts.length === 0) parts.push(literal);
  return { parts, highest };
}

/** What follows a `$`, or what is wrong with it. */
function readReference(text: string, start: number): { word: string; end: number } | string {
  const open = text[start];
  const close = open === undefined ? undefined : closing[open];
  if (open === undefined || close === undefined) {
    name.lastIndex = start;
    const word = name.exec(text)?.[0] ?? "";
    return word === "" ? "empty macro name" : { word, end: start + word.length };
  }
  let depth = 1;
  let end = start + 1;
  for (; depth > 0; end++) {
    if (end >= text.length) return "truncated macro reference";
    if (text[end] === open) depth++;
    if (text[end] === close) depth--;
  }
  const word = text.slice(start + 1, end - 1);
  return word === "" ? "empty macro name" : { word, end };
}
