/**
 * Logical lines of Postfix's text files (postmap(1), readlline): empty lines and lines whose first non-blank is `#` do not
 * count, a line that starts with white space continues the line before, even across such lines.
 */
import { isUtf8 } from "node:buffer";

export interface LogicalLine {
  /** Where it begins; the first line is 1. */
  readonly line: number;
  readonly text: string;
}

/** C's isspace in ASCII; `\s` would take octets of UTF-8 and Unicode's spaces too. */
const blankLine = /^[ \t\v\f\r]*(?:#|$)/;
const startsBlank = /^[ \t\v\f\r]/;

/** Yields logical lines; what is no text is told to `warn(line, what)` and left out. */
export function* logicalLines(file: Buffer, warn: (line: number, text: string) => void): Generator<LogicalLine> {
  let text = "";
  let first = 0;
  let line = 0;
  for (const physical of file.toString("latin1").split("\n")) {
    line++;
    if (blankLine.test(physical)) continue;
    if (first > 0 && startsBlank.test(physical)) {
      text += physical;
      continue;
    }
    const sound = first > 0 ? soundLine(first, text, warn) : undefined;
    if (sound !== undefined) yield sound;
    first = line;
    text = physical;
  }
  const sound = first > 0 ? soundLine(first, text, warn) : undefined;
  if (sound !== undefined) yield sound;
}

/** Checks the octets of a logical line; what is no text is told to `warn` and left out. */
export function soundLine(
  line: number,
  octets: string,
  warn: (line: number, text: string) => void,
): LogicalLine | undefined {
  if (startsBlank.test(octets)) {
    warn(line, "a logical line must not start with white space -- ignoring this line");
    return undefined;
  }
  if (octets.includes("\0")) {
    warn(line, "NUL in text -- ignoring this line");
    return undefined;
  }
  const bytes = Buffer.from(octets, "latin1");
  if (!isUtf8(bytes)) {
    warn(line, "malformed UTF-8 -- ignoring this line");
    return undefined;
  }
  return { line, text: bytes.toString("utf8") };
}
