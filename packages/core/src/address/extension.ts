/** Address extension: `user+ext` (Postfix's recipient_delimiter, split_addr). */

export interface SplitLocalPart {
  readonly localPart: string;
  /** What follows the delimiter, perhaps empty; `undefined` when there is no extension. */
  readonly extension: string | undefined;
  /** The delimiter that was found; empty when there is no extension. */
  readonly delimiter: string;
}

const neverSplit: ReadonlySet<string> = new Set(["mailer-daemon", "postmaster", "double-bounce"]);

/**
 * Splits at the first character that is in `delimiters`, a set of characters, empty for none. Never splits the system's
 * own names, nor `owner-list` and `list-request` by a hyphen, nor where nothing would be left on the left.
 */
export function splitExtension(localPart: string, delimiters: string): SplitLocalPart {
  const at = firstOf(localPart, delimiters);
  if (at <= 0 || isSpecial(localPart.toLowerCase(), delimiters)) {
    return { localPart, extension: undefined, delimiter: "" };
  }
  return { localPart: localPart.slice(0, at), extension: localPart.slice(at + 1), delimiter: localPart.charAt(at) };
}

function firstOf(text: string, characters: string): number {
  if (characters.length === 0) return -1;
  if (characters.length === 1) return text.indexOf(characters);
  for (let at = 0; at < text.length; at++) if (characters.includes(text.charAt(at))) return at;
  return -1;
}

function isSpecial(lower: string, delimiters: string): boolean {
  if (neverSplit.has(lower)) return true;
  if (!delimiters.includes("-")) return false;
  return lower.startsWith("owner-") || (lower.endsWith("-request") && lower.length > "-request".length);
}
