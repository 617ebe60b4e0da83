/** Folding of keys: indexed tables are asked and filled without case, as Postfix folds for its fixed-key types. */

/** ASCII without capitals: nothing to fold. */
const folded = /^[\u0000-@[-\u007f]*$/;
const ascii = /^[\u0000-\u007f]*$/;

/** Lower case; outside ASCII the full case folding of Unicode, so that `ß` equals `ss` and both sigmas are one. */
export function foldKey(key: string): string {
  if (folded.test(key)) return key;
  return ascii.test(key) ? key.toLowerCase() : foldUnicode(key);
}

/**
 * ICU's default folding. Down, up and down again brings all forms of a letter together, one letter at a time, since
 * `toLowerCase` looks at the neighbours of a sigma; a dotless i has no upper case of its own.
 */
function foldUnicode(key: string): string {
  let folded = "";
  for (const letter of key) {
    folded += letter === "ı" ? letter : letter.toLowerCase().toUpperCase().toLowerCase().replaceAll("ς", "σ");
  }
  return folded;
}
