/** One entry of a table's text file (postmap(1)): key, white space, value. */
import type { LogicalLine } from "./logical-lines.ts";

const blank = /[ \t\v\f\r]/;

/** Key and value, split at the first blank outside of quotes; a backslash takes the next character as it is. */
export function splitEntry(
  { line, text }: LogicalLine,
  warn: (line: number, text: string) => void,
): { key: string; value: string } | undefined {
  let quoted = false;
  let end = 0;
  for (; end < text.length; end++) {
    const character = text.charAt(end);
    if (character === "\\") end++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && blank.test(character)) break;
  }
  if (quoted) {
    warn(line, `unbalanced '"' -- ignoring this line`);
    return undefined;
  }
  const key = text.slice(0, end);
  const value = trimBlanks(text.slice(end));
  if (key === "" || value === "") {
    warn(line, "expected format: key whitespace value -- ignoring this line");
    return undefined;
  }
  if (key.endsWith(":")) warn(line, 'record is in "key: value" format; is this an alias file?');
  return { key, value };
}

export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && blank.test(text.charAt(start))) start++;
  while (end > start && blank.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}
