/**
 * A message's body as Postfix's cleanup(8) goes through it: line by line, as it came, with the header sections of parts and of attached
 * messages in it. Long lines come in pieces of 2048 octets. A delimiter is any line that begins with one. What nobody asks about is passed
 * over by searching for the next line that begins with two hyphens.
 */
import { parseStructured, ScannerFailure, type HeaderField } from "@postern/core";

export type FieldPlace = "mime" | "nested";

export interface BodyLine {
  /** A field with its folding, or any other line that is not empty: no table is asked about those. */
  readonly kind: "field" | "line";
  /** Of a field: whose tables are asked. */
  readonly place: FieldPlace | undefined;
  /** With the line end, unless it goes on; of a field 102,400 octets at most. */
  readonly octets: Buffer;
  /** Where it begins and ends in the body, line ends counted. */
  readonly start: number;
  readonly end: number;
  /** It goes on in the next one: a piece of a long line. */
  readonly goesOn: boolean;
}

export interface BodyLinesOptions {
  /** Are lines that are no fields wanted? */
  readonly lines: boolean;
  /** Of each part, octets; 0 for all. */
  readonly sizeLimit: number;
}

interface Boundary {
  /** "--boundary" in latin1; several where the field has several. */
  readonly delimiters: readonly string[];
  readonly digest: boolean;
}

type State = "body" | FieldPlace;

const crlf = Buffer.from("\r\n", "latin1");
const hyphens = Buffer.from("\r\n--", "latin1");
const hyphen = 0x2d;
/** Postfix's line_length_limit, mime_boundary_length_limit, mime_nesting_limit, header_size_limit. */
const longestPiece = 2048;
const longestBoundary = 2048;
const deepestNesting = 100;
const mostReadings = 10;
const longestField = 102_400;
const fieldForm = /^([\u0021-\u0039\u003b-\u007e]+)[ \t]*:/;
const mimeNames: ReadonlySet<string> = new Set([
  "content-description",
  "content-disposition",
  "content-id",
  "content-transfer-encoding",
  "content-type",
  "mime-version",
]);

export function isMimeField(name: string): boolean {
  return mimeNames.has(name.toLowerCase());
}

interface Field {
  readonly name: string;
  readonly start: number;
  readonly pieces: Buffer[];
  /** Of the pieces. */
  bytes: number;
  end: number;
}

export class BodyLines {
  readonly #options: BodyLinesOptions;
  #state: State = "body";
  #type = "text/plain";
  readonly #boundaries: Boundary[] = [];
  /** The last of them is of the header section that is read. */
  #hasOpened = false;
  #field: Field | undefined;
  /** The last piece was one of a long line. */
  #goesOn = false;
  /** Postfix's offset in the part's body: a line end counts as one. */
  #offset = 0;
  #held: Buffer = Buffer.alloc(0);
  #heldAt = 0;
  #at = 0;

  constructor(header: Iterable<HeaderField>, options: BodyLinesOptions) {
    this.#options = options;
    for (const { name, raw } of header) if (name.toLowerCase() === "content-type") this.#contentType(raw);
    this.#endHeader();
  }

  /** Nothing more is wanted, whatever comes. */
  get idle(): boolean {
    return this.#state === "body" && !this.#wanted && this.#boundaries.length === 0;
  }

  /** The lines that are whole now; take all of them before the next push. */
  *push(piece: Buffer, final = false): Generator<BodyLine> {
    this.#held = this.#at >= this.#held.length ? piece : Buffer.concat([this.#held.subarray(this.#at), piece]);
    this.#heldAt += this.#at;
    this.#at = 0;
    while (this.#at < this.#held.length) {
      if (this.#state === "body" && !this.#wanted && !this.#skip()) break;
      const window = this.#held.subarray(this.#at, this.#at + longestPiece + crlf.length);
      const end = window.indexOf(crlf);
      const goesOn = end < 0 ? window.length >= longestPiece : end >= longestPiece;
      if (goesOn && window.length < longestPiece + crlf.length && !final) break;
      if (!goesOn && end < 0 && !final) break;
      const next = goesOn ? longestPiece : end < 0 ? window.length : end + crlf.length;
      yield* this.#record(window.subarray(0, next), goesOn || end < 0 ? next : end, goesOn);
      this.#at += next;
    }
    if (final && this.#field !== undefined) yield this.#endField(this.#field);
  }

  get #wanted(): boolean {
    const { lines, sizeLimit } = this.#options;
    return lines && (sizeLimit === 0 || this.#offset < sizeLimit);
  }

  /** To the next line that may be a delimiter; false when there is none yet. */
  #skip(): boolean {
    const held = this.#held;
    const atLine = !this.#goesOn && held[this.#at] === hyphen;
    if (this.#boundaries.length === 0) {
      this.#at = held.length;
      return false;
    }
    if (atLine) return true;
    const found = held.indexOf(hyphens, this.#at);
    this.#goesOn = found < 0 && held.length - this.#at > 0;
    this.#at = found < 0 ? Math.max(this.#at, held.length - hyphens.length + 1) : found + crlf.length;
    return found >= 0;
  }

  *#record(octets: Buffer, textEnd: number, goesOn: boolean): Generator<BodyLine> {
    const continues = this.#goesOn;
    this.#goesOn = goesOn;
    const start = this.#heldAt + this.#at;
    if (this.#state !== "body") {
      const field = this.#field;
      const blank = octets[0] === 0x20 || octets[0] === 0x09;
      if (field !== undefined && (continues || (blank && textEnd > 0))) {
        field.end = start + octets.length;
        if (field.bytes >= longestField) return;
        field.bytes += octets.length;
        field.pieces.push(octets);
        return;
      }
      if (field !== undefined) yield this.#endField(field);
      const [, name] = fieldForm.exec(octets.toString("latin1", 0, textEnd)) ?? [];
      if (name !== undefined) {
        this.#field = { name, start, pieces: [octets], bytes: octets.length, end: start + octets.length };
        return;
      }
      if (textEnd === 0) {
        this.#endHeader();
        return;
      }
      // No field: the body begins without a blank line.
      this.#state = "body";
      this.#offset = 0;
      this.#hasOpened = false;
    }
    if (!continues) this.#delimiter(octets, textEnd);
    const wanted = this.#wanted;
    this.#offset += textEnd + 1;
    if (wanted && textEnd > 0)
      yield { kind: "line", place: undefined, octets, start, end: start + octets.length, goesOn };
  }

  #endField(field: Field): BodyLine {
    this.#field = undefined;
    const octets = field.pieces.length === 1 && field.pieces[0] !== undefined ? field.pieces[0] : Buffer.concat(field.pieces); // prettier-ignore
    if (field.name.toLowerCase() === "content-type") this.#contentType(octets);
    const place = isMimeField(field.name) || this.#state === "mime" ? "mime" : "nested";
    return { kind: "field", place, octets, start: field.start, end: field.end, goesOn: false };
  }

  #contentType(raw: Buffer): void {
    const text = raw.toString("latin1", 0, longestField);
    const { word, parameters, disputed } = parseStructured(text.slice(text.indexOf(":") + 1).replaceAll("\r\n", ""));
    this.#type = word;
    if (word !== "multipart" && !word.startsWith("multipart/")) return;
    const boundary = parameters.get("boundary");
    if (boundary === undefined) return;
    // Which of several counts depends on who reads it, in one field or in two of one header: each does.
    const sibling = this.#hasOpened ? this.#boundaries.pop() : undefined;
    if (this.#boundaries.length > deepestNesting) {
      throw new ScannerFailure("unscannable", `more than ${deepestNesting} multipart bodies within each other`);
    }
    const all = [boundary, ...(disputed?.get("boundary") ?? [])].map((one) => `--${one.slice(0, longestBoundary)}`);
    const delimiters = [...new Set([...all, ...(sibling?.delimiters ?? [])])];
    if (delimiters.length > mostReadings) {
      throw new ScannerFailure("unscannable", `more than ${mostReadings} boundaries in one header`);
    }
    // One may begin like another.
    delimiters.sort((one, other) => other.length - one.length);
    this.#boundaries.push({ delimiters, digest: word === "multipart/digest" || sibling?.digest === true });
    this.#hasOpened = true;
  }

  /** What follows a header section. */
  #endHeader(): void {
    // The blank line itself.
    this.#offset = 1;
    this.#hasOpened = false;
    this.#state = this.#type === "message/rfc822" || this.#type === "message/global" ? "nested" : "body";
    this.#type = "text/plain";
  }

  #delimiter(octets: Buffer, textEnd: number): void {
    if (octets[0] !== hyphen || octets[1] !== hyphen) return;
    const line = octets.toString("latin1", 0, textEnd);
    for (let index = this.#boundaries.length - 1; index >= 0; index -= 1) {
      const { delimiters, digest } = this.#boundaries[index] as Boundary;
      const delimiter = delimiters.find((one) => line.startsWith(one));
      if (delimiter === undefined) continue;
      const closes = line.startsWith("--", delimiter.length);
      const others = closes ? delimiters.filter((one) => one !== delimiter) : delimiters;
      this.#boundaries.length = index;
      // Who reads another of them goes on.
      if (others.length > 0) this.#boundaries.push({ delimiters: others, digest });
      this.#type = digest && !closes ? "message/rfc822" : "text/plain";
      this.#state = closes ? "body" : "mime";
      if (closes) this.#offset = 0;
      return;
    }
  }
}
