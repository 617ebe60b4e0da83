/** The one way of foreign text into the log: no control bytes, bounded length. */

const longest = 512;
// C0 and C1 controls, line and paragraph separators, bidirectional overrides: nothing that forges or hides a line.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** `text` made safe for one log line, at most `maxLength` characters (512), cut with an ellipsis. */
export function logText(text: unknown, maxLength: number = longest): string {
  const string = typeof text === "string" ? text : stringOf(text);
  const head = string.length > maxLength ? `${string.slice(0, maxLength - 1)}…` : string;
  return head.replace(unsafe, "?");
}

/** What a plugin throws may throw again when it is looked at. */
function stringOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "(unprintable)";
  }
}
