/** Postfix's way of words: separated by white space and commas, `{ }` keeps words together (mystrtokq, extpar). */
import { ConfigError } from "../errors.ts";

const separator = /[ \t\r\n,]/;

/**
 * Splits at white space and commas outside of braces. A word that begins with a brace comes back with its braces; use
 * `withoutBraces`. Throws `ConfigError` for braces that do not match.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let depth = 0;
  for (const character of text) {
    if (character === "{") depth++;
    else if (character === "}" && --depth < 0) throw new ConfigError(`unexpected "}" in "${text}"`);
    if (depth === 0 && separator.test(character)) {
      if (word !== "") words.push(word);
      word = "";
    } else {
      word += character;
    }
  }
  if (depth > 0) throw new ConfigError(`missing "}" in "${text}"`);
  if (word !== "") words.push(word);
  return words;
}

export function isGrouped(word: string): boolean {
  return word.startsWith("{") && closingBrace(word) === word.length - 1;
}

/** The inside of `{ … }`, trimmed; any other word as it is. */
export function withoutBraces(word: string): string {
  return isGrouped(word) ? word.slice(1, -1).trim() : word;
}

/** Where the brace that `word` starts with is closed. */
function closingBrace(word: string): number {
  let depth = 0;
  for (let at = 0; at < word.length; at++) {
    if (word[at] === "{") depth++;
    else if (word[at] === "}" && --depth === 0) return at;
  }
  return -1;
}
