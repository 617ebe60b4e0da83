/** Keys from standard input, one a line, as `postmap -q -` reads them: a line is a key with all its blanks and its CR. */
import { isUtf8 } from "node:buffer";

/** A line that cannot be a key. */
export interface WrongLine {
  /** For messages. */
  readonly shown: string;
  readonly wrong: "tooLong" | "noUtf8";
}

export type KeyLine = string | WrongLine;

const newline = 0x0a;
const longestBytes = 2 ** 20;

/** The lines of each chunk together. No more than a chunk and a line of 1 MiB is held. */
export async function* keyLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<readonly KeyLine[]> {
  /** The beginning of a line whose end has not come. */
  let rest: Buffer[] = [];
  let restBytes = 0;
  let skipped: WrongLine | undefined;
  for await (const octets of input) {
    let chunk = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    const lines: KeyLine[] = [];
    if (skipped !== undefined) {
      const end = chunk.indexOf(newline);
      if (end < 0) continue;
      lines.push(skipped);
      skipped = undefined;
      chunk = chunk.subarray(end + 1);
    }
    const end = chunk.lastIndexOf(newline);
    if (end >= 0) {
      lines.push(...splitLines(Buffer.concat([...rest, chunk.subarray(0, end)])));
      rest = [];
      restBytes = 0;
      chunk = chunk.subarray(end + 1);
    }
    if (chunk.length > 0) {
      rest.push(chunk);
      restBytes += chunk.length;
    }
    if (restBytes > longestBytes) {
      skipped = tooLong(Buffer.concat(rest));
      rest = [];
      restBytes = 0;
    }
    if (lines.length > 0) yield lines;
  }
  if (skipped !== undefined) yield [skipped];
  else if (restBytes > 0) yield splitLines(Buffer.concat(rest));
}

/** `octets` end where the last line ends, without its newline. */
function splitLines(octets: Buffer): KeyLine[] {
  if (octets.length <= longestBytes && isUtf8(octets)) return octets.toString("utf8").split("\n");
  const lines: KeyLine[] = [];
  for (let start = 0; start <= octets.length;) {
    const found = octets.indexOf(newline, start);
    const end = found < 0 ? octets.length : found;
    const line = octets.subarray(start, end);
    if (line.length > longestBytes) lines.push(tooLong(line));
    else if (isUtf8(line)) lines.push(line.toString("utf8"));
    else lines.push({ shown: line.toString("utf8"), wrong: "noUtf8" });
    start = end + 1;
  }
  return lines;
}

const tooLong = (line: Buffer): WrongLine => ({ shown: line.toString("utf8", 0, 100), wrong: "tooLong" });
