/** Pieces of header fields replaced in place: every octet between them stays as it came. */
import { concatBlobs } from "./concatenated-blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Message } from "./message.ts";
import { ParsedMessage, toParsedMessage } from "./parsed-message.ts";

/** Octets of the header section, from `start` to `end`, and what stands there instead. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Octets of this header section that stand behind it, as they came: whatever they are. */
  readonly kept?: Buffer;
}

/** RFC 5322 §2.1.1. */
const longestLine = 998;
const fold = Buffer.from("\r\n\t", "latin1");
// What a piece could end its field with, or hide in it.
const forbidden = /[\u0000-\u0008\u000a-\u001f\u007f\u2028\u2029]/;

/**
 * The message with `splices`, which are in order and do not overlap; each begins where a field may be folded, and is when its line would grow
 * beyond 998 octets. Throws `RangeError` for control characters.
 */
export function spliceHeader(message: Message, splices: readonly Splice[]): Message {
  if (splices.length === 0) return message;
  const { raw, section, maxHeaderBytes } = toParsedMessage(message);
  const { octets } = section;
  const chunks: Buffer[] = [];
  let done = 0;
  let column = 0;
  const push = (piece: Buffer): void => {
    chunks.push(piece);
    const line = piece.lastIndexOf(0x0a);
    column = line < 0 ? column + piece.length : piece.length - line - 1;
  };
  for (const { start, end, text, kept } of splices) {
    if (forbidden.test(text)) throw new RangeError("a piece of a header field has control characters");
    push(octets.subarray(done, start));
    const piece = Buffer.from(text);
    if (column + piece.length + lineLeft(octets, end) > longestLine && column > 1) push(fold);
    push(piece);
    if (kept !== undefined) push(kept);
    done = end;
  }
  chunks.push(octets.subarray(done));
  return new ParsedMessage(
    concatBlobs([createMemoryBlob([Buffer.concat(chunks)]), raw.slice(octets.length)]),
    maxHeaderBytes,
  );
}

/** Octets up to the next place where the line may be broken: behind a comma, or its end. */
function lineLeft(octets: Buffer, from: number): number {
  const end = Math.min(from + longestLine, octets.length);
  for (let at = from; at < end; at++) if (octets[at] === 0x2c || octets[at] === 0x0d) return at - from + 1;
  return end - from;
}
