/** Values as stores keep them: JSON. What a bad disk has changed counts as lost. */
import type { Entry } from "./entry-table.ts";
import { stateLimits } from "./limits.ts";
import type { StateValue } from "./state-store.ts";

/** The JSON of a value. Throws TypeError for what has none, RangeError for what is too large. */
export function encodeValue(value: StateValue): string {
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError("a value is JSON");
  const { maxValueBytes } = stateLimits;
  // One unit of UTF-16 is at most three octets: most values need no counting.
  if (text.length * 3 > maxValueBytes && Buffer.byteLength(text) > maxValueBytes)
    throw new RangeError(`a value has at most ${maxValueBytes} octets of JSON`);
  return text;
}

/** `undefined` for what is no JSON: an entry that a bad disk has changed counts as lost. */
export function decodeValue(text: string): StateValue | undefined {
  try {
    return JSON.parse(text) as StateValue;
  } catch {
    return undefined;
  }
}

/** Of a live entry. */
export function valueOf(entry: Entry | undefined): StateValue | undefined {
  return entry && decodeValue(entry.text);
}

/** What a scan found, without what is lost. */
export function decodeFound(
  found: readonly (readonly [key: string, text: string])[],
): readonly (readonly [key: string, value: StateValue])[] {
  const decoded: (readonly [string, StateValue])[] = [];
  for (const [key, text] of found) {
    const value = decodeValue(text);
    if (value !== undefined) decoded.push([key, value]);
  }
  return decoded;
}
