/** The value of an alias: one address or several, divided by commas (virtual(5)). Pure. */

/**
 * The addresses of `value`, each in the form that `read` gives it. `@other` at its beginning stands for `user` at that domain, which is
 * the local part that was asked for as it stands in an address. `wrong` says what is.
 */
export function parseAliasValue(
  value: string,
  user: string,
  read: (written: string) => string | undefined,
): readonly string[] | { readonly wrong: string } {
  const text = value.startsWith("@") ? user + value : value;
  const addresses: string[] = [];
  for (const written of splitList(text)) {
    const bare = /^[^"]*<([^<>]*)>$/.exec(written)?.[1]?.trim() ?? written;
    const address = read(bare);
    if (address === undefined) return { wrong: `"${written}" is no address` };
    addresses.push(address);
  }
  return addresses.length === 0 ? { wrong: "it names no address" } : addresses;
}

/** Split at commas, without comments in parentheses; not inside quotes. */
function splitList(text: string): string[] {
  if (!/["(]/.test(text)) return trimmed(text.split(","));
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "\\") {
      if (depth === 0) part += text.slice(at, at + 2);
      at++;
      continue;
    }
    if (character === '"' && depth === 0) quoted = !quoted;
    if (!quoted && character === "(") depth++;
    else if (!quoted && character === ")" && depth > 0) depth--;
    else if (!quoted && depth === 0 && character === ",") {
      parts.push(part);
      part = "";
    } else if (depth === 0) part += character;
  }
  return trimmed([...parts, part]);
}

const trimmed = (parts: readonly string[]): string[] => parts.map((part) => part.trim()).filter((part) => part !== "");
