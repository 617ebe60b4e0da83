/** Folding of keys: indexed tables are asked and filled without case, as Postfix folds for its fixed-key types. */

const ascii = /^[\u0000-\u007f]*$/;

/** Lower case; outside ASCII the case folding of Unicode, so that `ß` equals `ss` and both sigmas are one. */
export function foldKey(key: string): string {
  const lower = key.toLowerCase();
  return ascii.test(lower) ? lower : lower.replaceAll("ß", "ss").replaceAll("ς", "σ");
}
