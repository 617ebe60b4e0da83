/** The one way of foreign text into the log: no control bytes, bounded length. */
import { stringOf } from "./foreign-text.ts";

const longest = 512;
// C0 and C1 controls, line and paragraph separators, bidirectional overrides: nothing that forges or hides a line.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** `text` made safe for one log line, at most `maxLength` characters (512), cut with an ellipsis. */
export function logText(text: unknown, maxLength: number = longest): string {
  const string = typeof text === "string" ? text : stringOf(text);
  const head = string.length > maxLength ? `${string.slice(0, Math.max(maxLength - 1, 0))}…` : string;
  return head.toWellFormed().replace(unsafe, "?");
}
