/** Text for places where only ASCII may stand. */
import { isAscii } from "../address/index.ts";

/** RFC 6533 §3: an address in UTF-8 has `\x{HEX}` for what is not ASCII where only ASCII may stand; so has any other text here. */
export function asciiOf(text: string): string {
  if (isAscii(text)) return text;
  return text
    .toWellFormed()
    .replace(/[^\u0000-\u007f]/gu, (character) => `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`);
}
