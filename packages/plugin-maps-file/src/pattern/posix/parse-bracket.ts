/** `[…]` of a POSIX expression in the C locale, with the errors of the GNU C library. */
import { ExpressionError, type ExpressionFlags } from "./expression.ts";
import { addClass, addRange, invert, upperCase } from "./octet-set.ts";

const unmatched = "Unmatched [, [^, [:, [., or [=";

type Element = { readonly octet: number } | { readonly className: string } | { readonly equivalent: number };

/**
 * Reads from behind the `[` to behind the `]`. With `ignoreCase` the set is one over texts in upper case, and the ends of
 * a range are in upper case before they are compared.
 */
export function parseBracket(
  source: string,
  start: number,
  flags: ExpressionFlags,
): { readonly set: Uint8Array; readonly end: number } {
  const set = new Uint8Array(256);
  let at = start;
  const negated = source[at] === "^";
  if (negated) at++;
  if (at >= source.length) throw new ExpressionError("Invalid regular expression");
  for (let first = true; first || source[at] !== "]"; first = false) {
    const from = parseElement(source, at, flags, first);
    at = from.end;
    if ("className" in from.element) {
      addClass(set, from.element.className, flags.ignoreCase);
      continue;
    }
    if ("equivalent" in from.element) {
      set[from.element.equivalent] = 1;
      continue;
    }
    if (at >= source.length) throw new ExpressionError(unmatched);
    if (!isRangeSign(source, at)) {
      set[from.element.octet] = 1;
      continue;
    }
    if (at + 1 >= source.length) throw new ExpressionError(unmatched);
    if (source[at + 1] === "]") {
      set[from.element.octet] = 1;
      continue;
    }
    const to = parseElement(source, at + 1, flags, true);
    at = to.end;
    if (!("octet" in to.element) || to.element.octet < from.element.octet) {
      throw new ExpressionError("Invalid range end");
    }
    addRange(set, from.element.octet, to.element.octet);
  }
  if (negated) {
    if (flags.newline) set[10] = 1;
    invert(set);
  }
  return { set, end: at + 1 };
}

/** A `-` that may make a range: three in a row are one plain hyphen. */
function isRangeSign(source: string, at: number): boolean {
  return source[at] === "-" && !isTriple(source, at);
}

function isTriple(source: string, at: number): boolean {
  return at + 2 < source.length && source[at + 1] === "-" && source[at + 2] === "-";
}

function parseElement(
  source: string,
  at: number,
  { ignoreCase }: ExpressionFlags,
  hyphenAllowed: boolean,
): { readonly element: Element; readonly end: number } {
  if (at >= source.length) throw new ExpressionError(unmatched);
  const fold = (code: number) => (ignoreCase ? upperCase(code) : code);
  const kind = source[at] === "[" ? source[at + 1] : undefined;
  if (kind === "." || kind === "=" || kind === ":") return parseSymbol(source, at + 2, kind, fold);
  if (source[at] === "-") {
    if (isTriple(source, at)) return { element: { octet: 45 }, end: at + 3 };
    // What a hyphen between others means is nobody's business; the library calls it a wrong range.
    if (!hyphenAllowed && source[at + 1] !== "]") throw new ExpressionError("Invalid range end");
  }
  return { element: { octet: fold(source.charCodeAt(at)) }, end: at + 1 };
}

function parseSymbol(
  source: string,
  start: number,
  kind: "." | "=" | ":",
  fold: (code: number) => number,
): { readonly element: Element; readonly end: number } {
  const close = source.indexOf(`${kind}]`, start);
  if (close < 0 || close - start >= 32) throw new ExpressionError(unmatched);
  const name = source.slice(start, close);
  const end = close + 2;
  if (kind === ":") return { element: { className: name }, end };
  // The C locale has no longer collating elements.
  if (name.length !== 1) throw new ExpressionError("Invalid collation character");
  const octet = fold(name.charCodeAt(0));
  return { element: kind === "." ? { octet } : { equivalent: octet }, end };
}
