/**
 * A structured MIME field (RFC 2045 §5.1): a word, then parameters; comments anywhere, values quoted or not, continued and with a charset
 * (RFC 2231). What is broken is read as most mail programs do: an unquoted value goes to its semicolon, a quote that nobody closes to the
 * end. It takes linear time and never throws.
 */
import { decodeText } from "./charset.ts";

export interface StructuredValue {
  /** What stands before the first semicolon, lower case, without comments and blanks: `text/plain`, `attachment`. */
  readonly word: string;
  /** By lower-case name, the first of each; continuations joined, charsets decoded. */
  readonly parameters: ReadonlyMap<string, string>;
  /** By name, for those that have another value elsewhere in the field, these others; absent when there are none. */
  readonly disputed: ReadonlyMap<string, readonly string[]> | undefined;
}

interface Segment {
  readonly order: number;
  readonly text: string;
  readonly encoded: boolean;
}

const extended = /^([^*]+)\*(?:(0|[1-9]\d{0,4})(\*)?)?$/;

export function parseStructured(value: string): StructuredValue {
  const reader = new Reader(value);
  const word = reader.plain(";").text.replaceAll(/\s+/g, "").toLowerCase();
  const parameters = new Map<string, string>();
  const segments = new Map<string, Segment[]>();
  let disputed: Map<string, string[]> | undefined;
  const dispute = (name: string, ...values: readonly string[]): void => {
    const others = (disputed ??= new Map<string, string[]>()).get(name);
    if (others === undefined) disputed.set(name, [...values]);
    else others.push(...values);
  };
  while (reader.next()) {
    const name = reader.plain("=;").text.trim().toLowerCase();
    const given = reader.at("=") ? reader.value() : "";
    const [, base, order, star] = extended.exec(name) ?? [];
    if (base === undefined) {
      if (name === "") continue;
      const known = parameters.get(name);
      if (known === undefined) parameters.set(name, given);
      else if (known !== given) dispute(name, given);
    } else {
      const segment = { order: Number(order ?? 0), text: given, encoded: order === undefined || star !== undefined };
      const known = segments.get(base);
      if (known === undefined) segments.set(base, [segment]);
      else known.push(segment);
    }
  }
  // RFC 2231 values go before plain ones of the same name, which are there for those who know no better.
  for (const [name, parts] of segments) {
    const joined = joinSegments(parts);
    const plain = parameters.get(name);
    if (plain !== undefined && plain !== joined) dispute(name, plain);
    else if (new Set(parts.map(({ order }) => order)).size < parts.length) dispute(name);
    parameters.set(name, joined);
  }
  return { word, parameters, disputed };
}

/** Segments in their order, up to the first that is missing. The first says the charset of all that are encoded. */
function joinSegments(segments: readonly Segment[]): string {
  const ordered = segments.toSorted((a, b) => a.order - b.order);
  let charset = "utf-8";
  const octets: Buffer[] = [];
  let next = 0;
  for (const { order, text, encoded } of ordered) {
    if (order < next) continue;
    if (order > next) break;
    next += 1;
    const prefix = encoded && order === 0 ? /^([^']*)'[^']*'/.exec(text) : null;
    if (prefix?.[1] !== undefined && prefix[1] !== "") charset = prefix[1];
    const rest = text.slice(prefix?.[0].length ?? 0);
    octets.push(encoded ? percentDecoded(rest) : Buffer.from(rest));
  }
  return decodeText(Buffer.concat(octets), charset);
}

function percentDecoded(text: string): Buffer {
  if (!text.includes("%")) return Buffer.from(text);
  const parts: Buffer[] = [];
  let done = 0;
  for (const found of text.matchAll(/(?:%[0-9A-Fa-f]{2})+/g)) {
    parts.push(Buffer.from(text.slice(done, found.index)), Buffer.from(found[0].replaceAll("%", ""), "hex"));
    done = found.index + found[0].length;
  }
  parts.push(Buffer.from(text.slice(done)));
  return Buffer.concat(parts);
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  at(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  /** Behind the next semicolon; false at the end. */
  next(): boolean {
    if (this.#at >= this.#text.length) return false;
    this.#at += 1;
    return true;
  }

  /** Up to one of `ends`, without comments. */
  plain(ends: string): { readonly text: string } {
    let text = "";
    const special = ends === ";" ? /[;(]/g : /[=;(]/g;
    while (this.#at < this.#text.length) {
      special.lastIndex = this.#at;
      const found = special.exec(this.#text);
      text += this.#text.slice(this.#at, found?.index);
      this.#at = found?.index ?? this.#text.length;
      if (found?.[0] !== "(") break;
      this.#skipComment();
    }
    return { text };
  }

  /** The value behind an equals sign; what stands between a quoted one and the semicolon says nothing. */
  value(): string {
    this.#at += 1;
    this.#skipBlanks();
    if (!this.at('"')) return this.plain(";").text.trim();
    const text = this.#quoted();
    this.plain(";");
    return text;
  }

  #skipBlanks(): void {
    const blanks = /[ \t\r\n]*/y;
    for (;;) {
      blanks.lastIndex = this.#at;
      this.#at += blanks.exec(this.#text)?.[0].length ?? 0;
      if (!this.at("(")) return;
      this.#skipComment();
    }
  }

  #quoted(): string {
    let text = "";
    this.#at += 1;
    const special = /["\\]/g;
    for (;;) {
      special.lastIndex = this.#at;
      const found = special.exec(this.#text);
      text += this.#text.slice(this.#at, found?.index);
      if (found === null) {
        this.#at = this.#text.length;
        return text;
      }
      this.#at = found.index + 1;
      if (found[0] === '"') return text;
      const escaped = this.#text[this.#at] ?? "";
      // Paths of Windows are written without escapes: `C:\file` has no quoted pair in it.
      text += escaped === '"' || escaped === "\\" ? escaped : `\\${escaped}`;
      this.#at += 1;
    }
  }

  /** Nested (RFC 5322 §3.2.2); one that nobody closes goes to the end. */
  #skipComment(): void {
    const special = /[()\\]/g;
    let depth = 0;
    do {
      special.lastIndex = this.#at;
      const found = special.exec(this.#text);
      if (found === null) {
        this.#at = this.#text.length;
        return;
      }
      this.#at = found.index + (found[0] === "\\" ? 2 : 1);
      if (found[0] === "(") depth += 1;
      else if (found[0] === ")") depth -= 1;
    } while (depth > 0);
  }
}
