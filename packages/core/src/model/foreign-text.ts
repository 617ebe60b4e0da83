/** What plugins hand over where a text is due. */

/** A string in any case: what a plugin throws or returns may throw again when it is looked at. Neither short nor safe yet. */
export function stringOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "(unprintable)";
  }
}
