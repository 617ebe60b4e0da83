/**
 * What a key goes through before it stands in a filter or in a distinguished name. A key is a stranger's: after this it is one
 * value and nothing more. The sets of characters are those of Postfix; NUL, which its strings cannot hold, is quoted as well.
 */

/** RFC 4515 §3 (2254): `*`, `(`, `)`, `\` and NUL as `\2A` and the like. */
export function quoteForFilter(part: string): string {
  return part.replace(/[*()\\\0]/g, hex);
}

/** RFC 4514 §2.4 (2253); blanks and `#` anywhere, which is harmless. */
export function quoteForName(part: string): string {
  return part.replace(/[ \t"#+,;<>\\\0]/g, hex);
}

function hex(character: string): string {
  return `\\${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
