/**
 * The octets of DATA (RFC 5321 §4.1.1.4, §4.5.2): finds CRLF.CRLF, takes the dot from the front of a line, tells faults of line
 * endings. Content is handed on as parts of the chunk, uncopied unless stuffed dots are many.
 * A line begins after CRLF and nothing else: neither the end nor a stuffed dot is ever found after a bare LF or CR.
 */
import { eachDottedLine, type LineEndingCheck } from "./line-endings.ts";

const dot = 0x2e;
const cr = 0x0d;
const lf = 0x0a;

/** Where the scan stands between two chunks, as far as it decides what the next octet means. */
type Position =
  | "text"
  /** After a CR in the text; the CR has been handed on. */
  | "cr"
  /** After CRLF, or at the very start. */
  | "lineStart"
  /** After a dot at the start of a line; the dot is dropped whatever follows. */
  | "dot"
  /** After dot and CR; the CR is not yet handed on. */
  | "dotCr";

/** More stuffed dots than this in one chunk: one copy is cheaper than so many parts. */
const mostParts = 16;
const heldCr = Buffer.from("\r");
const dottedCr = Buffer.from("\r\n.\r");

/** From one octet up to another. */
type Span = readonly [from: number, to: number];

export class DataScanner {
  /** The end was found; nothing more is taken. */
  finished = false;
  #position: Position = "lineStart";
  readonly #check: LineEndingCheck | undefined;

  /** `check` sees the content with its stuffed dots still in it: they stand behind LF, so the faults are the same. */
  constructor(check?: LineEndingCheck) {
    this.#check = check;
  }

  /**
   * Scans `chunk` from `start`, appends the content found to `parts`, and returns the position behind the last octet taken:
   * `chunk.length` until the end was found.
   */
  scan(chunk: Buffer, start: number, parts: Buffer[]): number {
    const begin = this.#resolve(chunk, start, parts);
    if (this.finished || begin >= chunk.length) return begin;
    const spans: Span[] = [];
    const end = this.#findSpans(chunk, begin, spans);
    if (spans.length > mostParts) parts.push(gather(chunk, spans));
    else for (const [from, to] of spans) if (to > from) parts.push(chunk.subarray(from, to));
    return end;
  }

  /** Octet by octet through what the last chunk left open; returns where plain text begins. */
  #resolve(chunk: Buffer, start: number, parts: Buffer[]): number {
    let at = start;
    while (at < chunk.length && this.#position !== "text") {
      const octet = chunk[at];
      if (this.#position === "lineStart") {
        if (octet !== dot) break;
        this.#position = "dot";
        at += 1;
      } else if (this.#position === "dot") {
        if (octet !== cr) {
          this.#position = "text";
        } else {
          this.#position = "dotCr";
          at += 1;
        }
      } else if (this.#position === "dotCr") {
        if (octet === lf) {
          this.finished = true;
          return at + 1;
        }
        this.#hand(heldCr, parts);
        this.#position = "text";
      } else if (octet === lf) {
        this.#hand(chunk.subarray(at, at + 1), parts);
        this.#position = "lineStart";
        at += 1;
      } else {
        this.#position = "text";
      }
    }
    return at;
  }

  /** What lies between stuffed dots, up to the end, checked. Returns the position behind the last octet taken. */
  #findSpans(chunk: Buffer, begin: number, spans: Span[]): number {
    // A CR behind a dot that begins a line is not yet content: it may be the end's.
    const held = chunk.subarray(Math.max(begin, chunk.length - dottedCr.length)).equals(dottedCr);
    const text = held ? chunk.subarray(0, -1) : chunk;
    let from = begin;
    const onDot = (at: number): boolean => {
      spans.push([from, at]);
      from = at + 1;
      this.finished = chunk[from] === cr && chunk[from + 1] === lf;
      return this.finished;
    };
    if (this.#check === undefined) eachDottedLine(text, begin, onDot);
    else this.#check.check(text, begin, onDot);
    if (this.finished) return from + 2;
    spans.push([from, text.length]);
    const afterDot = from === text.length;
    this.#position = held ? "dotCr" : afterDot ? "dot" : positionBehind(text.subarray(from));
    return chunk.length;
  }

  #hand(part: Buffer, parts: Buffer[]): void {
    this.#check?.check(part);
    parts.push(part);
  }
}

function positionBehind(text: Buffer): Position {
  const last = text.at(-1);
  if (last === cr) return "cr";
  return last === lf && text.at(-2) === cr ? "lineStart" : "text";
}

function gather(chunk: Buffer, spans: readonly Span[]): Buffer {
  const gathered = Buffer.allocUnsafe(spans.reduce((sum, [from, to]) => sum + to - from, 0));
  let at = 0;
  for (const [from, to] of spans) at += chunk.copy(gathered, at, from, to);
  return gathered;
}
