/**
 * A pattern over octets, as Postfix gives it to PCRE2, for a library that only knows Unicode. Octets above ASCII become
 * characters of the private use area, which have no case, no class and the same order; so `.` is one octet, `\w` and
 * `[^a]` mean what they mean in the C locale, and nothing folds that does not fold there.
 *
 * Where a pattern asks for what Latin-1 has there (`\p{…}`, `\h`, `\v`, `\R`, `\X`), octets become the characters of their
 * own number. A pattern that begins with `(*UTF)` sees characters, as in Postfix.
 */

export type SubjectForm = "private" | "latin1" | "unicode";

export interface OctetPattern {
  /** What the library compiles. */
  readonly text: string;
  readonly form: SubjectForm;
  /** Where a unit of `text` came from in the source, for the offset of an error. */
  sourceOffset(offset: number): number;
}

export interface OctetPatternOptions {
  readonly matchLimit: number;
  readonly ungreedy: boolean;
  /** `$` is the very end, never before a last newline. */
  readonly dollarEndOnly: boolean;
}

const privateBase = 0xe000;
const startOptions =
  /^\(\*(?:UTF|UCP|NOTEMPTY|NOTEMPTY_ATSTART|NO_AUTO_POSSESS|NO_DOTSTAR_ANCHOR|NO_JIT|NO_START_OPT|CR|LF|CRLF|ANYCRLF|ANY|NUL|BSR_ANYCRLF|BSR_UNICODE|LIMIT_(?:HEAP|MATCH|DEPTH|RECURSION)=[0-9]+)\)/;
const latin1Escapes = /\\[hHvVRXpP]/;

/** `source` holds octets. */
export function toOctetPattern(source: string, options: OctetPatternOptions): OctetPattern {
  const start = readStart(source, options.matchLimit);
  const body = source.slice(start.length);
  const form: SubjectForm = start.utf ? "unicode" : start.ucp || latin1Escapes.test(body) ? "latin1" : "private";
  const prefix = `(*LIMIT_MATCH=${start.matchLimit})${start.kept}${options.ungreedy ? "(?U)" : ""}`;
  const converted = convert(body, form, options.dollarEndOnly);
  return {
    text: prefix + converted.text,
    form,
    sourceOffset: (offset) => {
      const place = offset - prefix.length;
      return place < 0 ? 0 : start.length + (converted.origins[place] ?? body.length);
    },
  };
}

/** The subject in a form that patterns ask for; `octets` and `text` are the same in ASCII. */
export function toSubject(text: string, octets: string, form: SubjectForm): string {
  if (form === "unicode") return text;
  if (form === "latin1" || text === octets) return octets;
  return toPrivate(octets);
}

function toPrivate(octets: string): string {
  return octets.replaceAll(/[\u0080-\u00ff]/g, (octet) => String.fromCharCode(privateBase + octet.charCodeAt(0)));
}

function readStart(source: string, matchLimit: number) {
  let length = 0;
  let kept = "";
  let utf = false;
  let ucp = false;
  let limit = matchLimit;
  for (;;) {
    const option = startOptions.exec(source.slice(length))?.[0];
    if (option === undefined) return { length, kept, utf, ucp, matchLimit: limit };
    length += option.length;
    const own = /MATCH=([0-9]+)/.exec(option)?.[1];
    // A pattern may lower the limit and not raise it; the library would take the last one.
    if (own !== undefined) limit = Math.min(limit, Number(own));
    else if (option === "(*UTF)") utf = true;
    else kept += option;
    if (option === "(*UCP)") ucp = true;
  }
}

function convert(source: string, form: SubjectForm, dollarEndOnly: boolean): { text: string; origins: number[] } {
  if (form === "unicode") {
    const text = Buffer.from(source, "latin1").toString("utf8");
    const converted = dollarEndOnly ? convertUnits(text, (unit) => unit, dollarEndOnly) : undefined;
    return converted ?? { text, origins: Array.from(text, (_, at) => at) };
  }
  return convertUnits(source, form === "private" ? toPrivate : (unit) => unit, dollarEndOnly);
}

/** Maps every octet, written as it is or by its number. */
function convertUnits(
  source: string,
  map: (octets: string) => string,
  dollarEndOnly: boolean,
): { text: string; origins: number[] } {
  const origins: number[] = [];
  let text = "";
  let inClass = false;
  let at = 0;
  const put = (piece: string, length: number) => {
    for (let unit = 0; unit < piece.length; unit++) origins.push(at);
    text += piece;
    at += length;
  };
  while (at < source.length) {
    const character = source.charAt(at);
    if (character === "\\") {
      const quoted = source.startsWith("\\Q", at) ? source.indexOf("\\E", at) : -1;
      if (source.startsWith("\\Q", at)) {
        const end = quoted < 0 ? source.length : quoted + 2;
        for (const unit of source.slice(at, end)) put(map(unit), 1);
        continue;
      }
      const number = octetEscape(source, at, inClass);
      if (number !== undefined && number.octet >= 0x80) {
        const mapped = map(String.fromCharCode(number.octet)).charCodeAt(0);
        put(`\\x{${mapped.toString(16)}}`, number.length);
        continue;
      }
      const length = number?.length ?? 2;
      put(map(source.slice(at, at + length)), length);
      continue;
    }
    if (inClass) {
      const named = /^\[:\^?[a-z]*:\]/.exec(source.slice(at, at + 16))?.[0];
      if (named === undefined && character === "]") inClass = false;
      put(map(named ?? character), named?.length ?? 1);
      continue;
    }
    if (character === "[") {
      // A bracket that comes first is a member.
      const opening = /^\[\^?\]?/.exec(source.slice(at, at + 3))?.[0] ?? "[";
      inClass = true;
      put(opening, opening.length);
      continue;
    }
    put(character === "$" && dollarEndOnly ? "\\z" : map(character), 1);
  }
  return { text, origins };
}

/** An octet written by its number: `\xhh`, `\x{h…}`, `\o{…}`, `\ddd`. */
function octetEscape(source: string, at: number, inClass: boolean): { octet: number; length: number } | undefined {
  const rest = source.slice(at, at + 16);
  const hex = /^\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{1,2}))/.exec(rest);
  if (hex !== null) return within(Number.parseInt(hex[1] ?? hex[2] ?? "", 16), hex[0].length);
  const braced = /^\\o\{([0-7]+)\}/.exec(rest);
  if (braced !== null) return within(Number.parseInt(braced[1] ?? "", 8), braced[0].length);
  // Three octal digits of which the first is 2 or 3 could be a back reference only where there are 200 groups.
  const octal = (inClass ? /^\\([0-3][0-7]{2})/ : /^\\([0-3][0-7]{2})(?![0-9])/).exec(rest);
  if (octal !== null) return within(Number.parseInt(octal[1] ?? "", 8), octal[0].length);
  return undefined;
}

function within(octet: number, length: number): { octet: number; length: number } | undefined {
  return octet <= 0xff ? { octet, length } : undefined;
}
