// The address fields of a delivered mail as text to compare: without comments, blanks, folding and needless quotes, in lower case. Postfix
// writes a field anew when one address of it changes; we replace the address alone.

const names = new Set(
  (
    "from to cc bcc sender reply-to resent-from resent-sender resent-to resent-cc resent-reply-to errors-to " +
    "return-receipt-to mail-followup-to disposition-notification-to apparently-to"
  ).split(" "),
);

export interface Delivered {
  /** `name: addresses`, in the order of the mail. */
  readonly addresses: readonly string[];
  /** All other fields as they came, without those that a relay adds. */
  readonly others: readonly string[];
}

const added = new Set(["received", "x-client-addr"]);

export function readFields(content: string): Delivered {
  const head = content.slice(0, content.indexOf("\r\n\r\n") + 2);
  const addresses: string[] = [];
  const others: string[] = [];
  for (const field of head.split(/\r\n(?![ \t])/)) {
    if (field === "") continue;
    const name = field.slice(0, field.indexOf(":")).trim().toLowerCase();
    if (names.has(name)) addresses.push(`${name}: ${normalize(field.slice(field.indexOf(":") + 1))}`);
    else if (!added.has(name)) others.push(field);
  }
  return { addresses, others };
}

export function normalize(value: string): string {
  let text = "";
  for (const token of tokens(value)) {
    if (token.startsWith("(")) continue;
    text += token;
  }
  return text
    .replace(/"((?:[^"\\]|\\.)*)"@/g, (whole, quoted: string) => (/^[\w+-]+$/.test(quoted) ? `${quoted}@` : whole))
    .toLowerCase()
    .replace(/,+/g, ",")
    .replace(/,$/, "");
}

function* tokens(value: string): Generator<string> {
  const token = /\s+|"(?:[^"\\]|\\[^])*"?|\[[^\]]*\]?|[(]|[^\s"([]+/y;
  while (token.lastIndex < value.length) {
    const start = token.lastIndex;
    const found = token.exec(value)?.[0];
    if (found === undefined) return;
    if (found === "(") {
      token.lastIndex = endOfComment(value, start);
      yield value.slice(start, token.lastIndex);
    } else if (found.trim() !== "") yield found.replace(/\r\n[ \t]/g, " ");
  }
}

function endOfComment(value: string, start: number): number {
  let depth = 0;
  for (let at = start; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === "\\") at += 1;
    else if (character === "(") depth += 1;
    else if (character === ")" && --depth === 0) return at + 1;
  }
  return value.length;
}
