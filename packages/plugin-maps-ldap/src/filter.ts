/**
 * Search filters in text (RFC 4515) as bytes of a request (RFC 4511 §4.5.1), with the freedoms of OpenLDAP's library, which
 * Postfix hands them to: no outer parentheses, blanks between filters, `\*` beside `\2a`. An own parser, since ldapts' takes
 * neither attribute options nor object identifiers, and makes of `\c3\a9` two letters.
 */
import { Filter, SearchFilter } from "ldapts";
import type { BerWriter, SearchFilterValues } from "ldapts";

/** Nesting deeper than this is a mistake. */
const deepest = 100;

type Write = (writer: BerWriter) => void;

/** A filter ready to be written into a request. */
export class WrittenFilter extends Filter {
  override type: SearchFilterValues;
  readonly #write: Write;

  constructor(type: SearchFilterValues, write: Write) {
    super();
    this.type = type;
    this.#write = write;
  }

  override write(writer: BerWriter): void {
    this.#write(writer);
  }

  override toString(): string {
    return `filter 0x${this.type.toString(16)}`;
  }
}

/** Throws `SyntaxError`. */
export function parseFilter(text: string): Filter {
  const trimmed = text.replace(/^ +/, "");
  if (trimmed === "") throw new SyntaxError("the filter is empty");
  if (!trimmed.startsWith("(")) return parseItem(trimmed);
  const { filter, end } = parseEnclosed(trimmed, 0, 0);
  if (end !== trimmed.length) throw new SyntaxError("more text after the closing parenthesis of the filter");
  return filter;
}

interface Parsed {
  readonly filter: Filter;
  /** Behind the closing parenthesis. */
  readonly end: number;
}

/** From the opening parenthesis at `start`. */
function parseEnclosed(text: string, start: number, depth: number): Parsed {
  if (depth > deepest) throw new SyntaxError("the filter is nested too deeply");
  if (text[start] !== "(") throw new SyntaxError(`"(" expected in the filter at ${JSON.stringify(text.slice(start))}`);
  const at = skipBlanks(text, start + 1);
  const sign = text[at];
  if (sign === "&" || sign === "|" || sign === "!") {
    const { filters, end } = parseList(text, at + 1, depth);
    if (sign !== "!") return { filter: combine(sign === "&" ? SearchFilter.and : SearchFilter.or, filters), end };
    if (filters.length !== 1) throw new SyntaxError('"!" in a filter takes one filter');
    return { filter: combine(SearchFilter.not, filters), end };
  }
  const end = endOfItem(text, at);
  return { filter: parseItem(text.slice(at, end)), end: end + 1 };
}

function parseList(text: string, start: number, depth: number): { filters: Filter[]; end: number } {
  const filters: Filter[] = [];
  for (let at = skipBlanks(text, start); ;) {
    if (text[at] === ")") return { filters, end: at + 1 };
    const { filter, end } = parseEnclosed(text, at, depth + 1);
    filters.push(filter);
    at = skipBlanks(text, end);
  }
}

function skipBlanks(text: string, at: number): number {
  while (text[at] === " " || text[at] === "\t" || text[at] === "\r" || text[at] === "\n") at += 1;
  return at;
}

/** The closing parenthesis; one after a backslash does not count. */
function endOfItem(text: string, start: number): number {
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === "\\") at += 1;
    else if (character === ")") return at;
    else if (character === "(") throw new SyntaxError('"(" in a value of a filter must be written \\28');
  }
  throw new SyntaxError('")" is missing in the filter');
}

function combine(type: SearchFilterValues, filters: readonly Filter[]): Filter {
  return new WrittenFilter(type, (writer) => {
    writer.startSequence(type);
    for (const filter of filters) filter.write(writer);
    writer.endSequence();
  });
}

/** `attribute operator value`. */
function parseItem(item: string): Filter {
  const equals = item.indexOf("=");
  if (equals < 1) throw new SyntaxError(`no "attribute=value" in the filter: ${JSON.stringify(item)}`);
  const value = item.slice(equals + 1);
  const sign = item[equals - 1];
  const left = item.slice(0, equals - 1);
  if (sign === "<") return assertion(SearchFilter.lessOrEqual, left, unescape(value));
  if (sign === ">") return assertion(SearchFilter.greaterOrEqual, left, unescape(value));
  if (sign === "~") return assertion(SearchFilter.approxMatch, left, unescape(value));
  if (sign === ":") return extensible(left, unescape(value));
  const attribute = item.slice(0, equals);
  if (value === "*") {
    const name = checkAttribute(attribute);
    return new WrittenFilter(SearchFilter.present, (writer) => writer.writeString(name, SearchFilter.present));
  }
  const parts = splitAtStars(value);
  if (parts.length > 1) return substrings(attribute, parts.map(unescape));
  return assertion(SearchFilter.equalityMatch, attribute, unescape(value));
}

function assertion(type: SearchFilterValues, attribute: string, value: Buffer): Filter {
  const name = checkAttribute(attribute);
  return new WrittenFilter(type, (writer) => {
    writer.startSequence(type);
    writer.writeString(name);
    writer.writeBuffer(value, octetString);
    writer.endSequence();
  });
}

const octetString = 0x04;
/** Context tags of SubstringFilter. */
const [initialTag, anyTag, finalTag] = [0x80, 0x81, 0x82];

function substrings(attribute: string, parts: readonly Buffer[]): Filter {
  const name = checkAttribute(attribute);
  const last = parts.length - 1;
  return new WrittenFilter(SearchFilter.substrings, (writer) => {
    writer.startSequence(SearchFilter.substrings);
    writer.writeString(name);
    writer.startSequence();
    parts.forEach((part, index) => {
      const inside = index > 0 && index < last;
      if (inside || part.length > 0) writer.writeBuffer(part, inside ? anyTag : index === 0 ? initialTag : finalTag);
    });
    writer.endSequence();
    writer.endSequence();
  });
}

/** Context tags of MatchingRuleAssertion. */
const [ruleTag, typeTag, valueTag, namesTag] = [0x81, 0x82, 0x83, 0x84];

/** `[attribute][:dn][:rule]`. */
function extensible(left: string, value: Buffer): Filter {
  const [attribute = "", ...options] = left.split(":");
  const names = options[0]?.toLowerCase() === "dn";
  const rule = options[names ? 1 : 0] ?? "";
  if (options.length > (names ? 2 : 1) || (attribute === "" && rule === "")) {
    throw new SyntaxError(`wrong extensible match in the filter: ${JSON.stringify(left)}`);
  }
  if (attribute !== "") checkAttribute(attribute);
  if (rule !== "" && !oidForm.test(rule)) throw new SyntaxError(`wrong matching rule in the filter: ${rule}`);
  return new WrittenFilter(SearchFilter.extensibleMatch, (writer) => {
    writer.startSequence(SearchFilter.extensibleMatch);
    if (rule !== "") writer.writeString(rule, ruleTag);
    if (attribute !== "") writer.writeString(attribute, typeTag);
    writer.writeBuffer(value, valueTag);
    writer.writeBoolean(names, namesTag);
    writer.endSequence();
  });
}

/** RFC 4512 §1.4: a name or a dotted number; options follow semicolons. */
const oidForm = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)$/;
const attributeForm = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)(?:;[A-Za-z0-9-]+)*$/;

function checkAttribute(name: string): string {
  if (!attributeForm.test(name)) throw new SyntaxError(`wrong attribute name in the filter: ${JSON.stringify(name)}`);
  return name;
}

/** A star after a backslash is a letter (RFC 1960). */
function splitAtStars(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === "\\") at += 1;
    else if (value[at] === "*") {
      parts.push(value.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}

const escapeForm = /\\(?:([0-9A-Fa-f]{2})|([*()\\]))|\\|[*()]/g;

/** The octets of a value, of which `\c3\a9` are two. */
function unescape(value: string): Buffer {
  if (!/[\\*()]/.test(value)) return Buffer.from(value);
  const parts: Buffer[] = [];
  let start = 0;
  for (const match of value.matchAll(escapeForm)) {
    const [found, octet, letter] = match;
    if (octet === undefined && letter === undefined) {
      throw new SyntaxError(`"${found}" in a value of the filter must be written with a backslash and two hex digits`);
    }
    parts.push(Buffer.from(value.slice(start, match.index)));
    parts.push(octet === undefined ? Buffer.from(letter ?? "") : Buffer.from(octet, "hex"));
    start = match.index + found.length;
  }
  parts.push(Buffer.from(value.slice(start)));
  return Buffer.concat(parts);
}
