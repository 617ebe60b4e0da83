/** The header fields of a section of octets (RFC 5322 §2.2). Whatever is malformed is kept as a field without a name. */
import { isUtf8 } from "node:buffer";
import type { HeaderField, HeaderList } from "./header-list.ts";

// Printable ASCII but the colon; blanks before the colon are obsolete (§4.5) and seen in the wild to slip past filters.
const fieldName = /^[\u0021-\u0039\u003b-\u007e]+[ \t]*$/;
const nonAscii = /[\u0080-\u00ff]/;
const space = 0x20;
const tab = 0x09;

function isBlank(code: number): boolean {
  return code === space || code === tab;
}

export class ParsedField implements HeaderField {
  readonly name: string;
  readonly lowerName: string;
  /** Where it stands in its section. */
  readonly start: number;
  readonly end: number;
  readonly #section: Section;
  readonly #valueStart: number;

  constructor(section: Section, start: number, end: number) {
    const { text } = section;
    // Within the field alone: a section without colons would be searched to its end for every line.
    const line = text.slice(start, end);
    const colon = line.indexOf(":");
    const written = colon >= 0 ? line.slice(0, colon) : "";
    const named = fieldName.test(written);
    this.name = named ? written.trimEnd() : "";
    this.lowerName = this.name.toLowerCase();
    this.start = start;
    this.end = end;
    this.#section = section;
    this.#valueStart = named ? start + colon + 1 : start;
  }

  get raw(): Buffer {
    return this.#section.octets.subarray(this.start, this.end);
  }

  get value(): string {
    const { text, octets } = this.#section;
    let start = this.#valueStart;
    let end = this.end;
    if (text.endsWith("\r\n", end)) end -= 2;
    while (start < end && isBlank(text.charCodeAt(start))) start++;
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
    const value = text.slice(start, end);
    if (!nonAscii.test(value)) return unfold(value);
    const raw = octets.subarray(start, end);
    return unfold(isUtf8(raw) ? raw.toString("utf8") : value);
  }
}

/** Unfolding removes a CR LF before white space (RFC 5322 §2.2.3); the value may begin or end with a folded empty line. */
function unfold(value: string): string {
  return value.includes("\r\n") ? trimBlanks(value.replaceAll("\r\n", "")) : value;
}

/** By hand: `[ \t]+$` is quadratic in a value full of blanks. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

interface Section {
  readonly octets: Buffer;
  /** The same octets as latin1, so that offsets agree and searching is the engine's work. */
  readonly text: string;
}

export class ParsedHeaders implements HeaderList {
  readonly fields: readonly ParsedField[];
  #byName: Map<string, ParsedField[]> | undefined;

  constructor(octets: Buffer) {
    const text = octets.toString("latin1");
    const section = { octets, text };
    const fields: ParsedField[] = [];
    let start = 0;
    let line = 0;
    while (line < text.length) {
      const found = text.indexOf("\r\n", line);
      line = found < 0 ? text.length : found + 2;
      if (line < text.length && isBlank(text.charCodeAt(line))) continue;
      fields.push(new ParsedField(section, start, line));
      start = line;
    }
    this.fields = fields;
  }

  get length(): number {
    return this.fields.length;
  }

  get(name: string): HeaderField | undefined {
    return this.#named(name)?.[0];
  }

  getAll(name: string): readonly HeaderField[] {
    return this.#named(name) ?? [];
  }

  has(name: string): boolean {
    return this.#named(name) !== undefined;
  }

  [Symbol.iterator](): Iterator<HeaderField> {
    return this.fields[Symbol.iterator]();
  }

  #named(name: string): readonly ParsedField[] | undefined {
    if (this.#byName === undefined) {
      this.#byName = new Map();
      for (const field of this.fields) {
        if (field.name === "") continue;
        const same = this.#byName.get(field.lowerName);
        if (same === undefined) this.#byName.set(field.lowerName, [field]);
        else same.push(field);
      }
    }
    return this.#byName.get(name.toLowerCase());
  }
}

/** Hops so far, for loop detection (RFC 5321 §6.3). */
export function countReceived(headers: HeaderList): number {
  return headers.getAll("received").length;
}
