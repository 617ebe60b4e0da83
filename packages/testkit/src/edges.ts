/** The three constructors through which a plugin's strings reach the wire, the spool and the log. */
import { header, logText, reply } from "@postern/core";
import { hostileStrings } from "./hostile.ts";

const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Throws when a string gets out of `reply()`, `header()` or `logText()` with a line end or a control character in it, or
 * longer than the edge allows.
 */
export function assertEdgesHold(text: string): void {
  const shown = JSON.stringify(text.slice(0, 60));
  const said = reply(550, "5.7.1", text);
  if (control.test(said.text)) throw new Error(`reply() let a control character of ${shown} through`);
  if (said.text.length > 400) throw new Error(`reply() let ${said.text.length} characters of ${shown} through`);
  assertField(header("X-Test", text), shown);
  assertField(header(text, "value"), shown);
  const line = logText(text);
  if (control.test(line)) throw new Error(`logText() let a control character of ${shown} through`);
  if (line.length > 512) throw new Error(`logText() let ${line.length} characters of ${shown} through`);
}

function assertField(field: string, shown: string): void {
  if (!field.endsWith("\r\n")) throw new Error(`header() of ${shown} does not end its line`);
  const lines = field.slice(0, -2).split("\r\n");
  for (const [index, line] of lines.entries()) {
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line))
      throw new Error(`header() let a control character of ${shown} through`);
    if (Buffer.byteLength(line) > 998)
      throw new Error(`header() of ${shown} has a line of ${Buffer.byteLength(line)} octets`);
    const begins = index === 0 ? /^[\u0021-\u0039\u003b-\u007e]+:/ : /^[ \t]+[^ \t]/;
    if (!begins.test(line)) throw new Error(`header() of ${shown} makes more than one field`);
  }
}

/** Every string inside `value`, however deep, up to a bound; what cannot be looked at has none. */
export function stringsIn(value: unknown, depth = 8): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null || depth === 0 || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap((inner) => stringsIn(inner, depth - 1));
}

/**
 * Gives each hostile string to `answer`, which puts it where a stranger could (a sender, a signature's name, a table's value),
 * and holds every string of what comes back to the edges. A throw of `answer` itself is an answer of its own: an error's text
 * never reaches the peer, but it does reach the log.
 */
export async function fuzzAnswer(answer: (hostile: string) => unknown): Promise<void> {
  for (const hostile of hostileStrings()) {
    let given: unknown;
    try {
      given = await answer(hostile);
    } catch (error) {
      given = error instanceof Error ? error.message : String(error);
    }
    for (const text of stringsIn(given)) assertEdgesHold(text);
  }
}
