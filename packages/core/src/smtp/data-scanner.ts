/**
 * The octets of DATA (RFC 5321 §4.1.1.4, §4.5.2): finds CRLF.CRLF, takes the dot from the front of a line, tells faults of line
 * endings. Lines are found with `indexOf` in a latin1 view of the chunk; content is handed on as parts of the chunk, uncopied.
 * A line begins after CRLF and nothing else: neither the end nor a stuffed dot is ever found after a bare LF or CR.
 */
import type { LineEndingCheck } from "./line-endings.ts";

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

export class DataScanner {
  /** The end was found; nothing more is taken. */
  finished = false;
  #position: Position = "lineStart";
  readonly #check: LineEndingCheck | undefined;

  /** `check` sees the content as it is found. */
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
    const text = chunk.toString("latin1", begin, chunk.length);
    const cuts: number[] = [];
    const taken = this.#findCuts(text, cuts);
    this.#emit(chunk, begin, text, cuts, parts);
    return begin + taken;
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
          this.#check?.end();
          this.finished = true;
          return at + 1;
        }
        this.#check?.check("\r");
        parts.push(heldCr);
        this.#position = "text";
      } else if (octet === lf) {
        this.#check?.check("\n");
        parts.push(chunk.subarray(at, at + 1));
        this.#position = "lineStart";
        at += 1;
      } else {
        this.#position = "text";
      }
    }
    return at;
  }

  /**
   * Finds stuffed dots and the end. `cuts` gets pairs of offsets: where a part of the content ends and where the next begins.
   * Returns how much of the text was taken.
   */
  #findCuts(text: string, cuts: number[]): number {
    const length = text.length;
    let from = 0;
    for (;;) {
      const crlf = text.indexOf("\r\n.", from);
      if (crlf < 0) break;
      const at = crlf + 2;
      cuts.push(at, at + 1);
      from = at + 1;
      if (from === length) {
        this.#position = "dot";
        return length;
      }
      if (text.charCodeAt(from) !== cr) continue;
      if (from + 1 === length) {
        cuts[cuts.length - 1] = length;
        this.#position = "dotCr";
        return length;
      }
      if (text.charCodeAt(from + 1) === lf) {
        cuts[cuts.length - 1] = length;
        this.finished = true;
        return from + 2;
      }
    }
    this.#position = text.endsWith("\r\n") ? "lineStart" : text.endsWith("\r") ? "cr" : "text";
    return length;
  }

  #emit(chunk: Buffer, begin: number, text: string, cuts: readonly number[], parts: Buffer[]): void {
    const spans: [from: number, to: number][] = [];
    let from = 0;
    for (let index = 0; index < cuts.length; index += 2) {
      spans.push([from, cuts[index] as number]);
      from = cuts[index + 1] as number;
    }
    if (from < text.length) spans.push([from, text.length]);
    if (this.#check !== undefined) {
      for (const [first, last] of spans) this.#check.check(cuts.length === 0 ? text : text.slice(first, last));
      if (this.finished) this.#check.end();
    }
    if (spans.length > mostParts) {
      parts.push(gather(chunk, begin, spans));
      return;
    }
    for (const [first, last] of spans) if (last > first) parts.push(chunk.subarray(begin + first, begin + last));
  }
}

function gather(chunk: Buffer, begin: number, spans: readonly [number, number][]): Buffer {
  const gathered = Buffer.allocUnsafe(spans.reduce((sum, [from, to]) => sum + to - from, 0));
  let at = 0;
  for (const [from, to] of spans) at += chunk.copy(gathered, at, begin + from, begin + to);
  return gathered;
}
