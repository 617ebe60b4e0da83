/**
 * The grammar of a refusal in the mail log, both ways:
 *
 *     line   = id ": reject: " command " from " name "[" address "]: " reply "; " field *( " " field )
 *     field  = name "=" ( value / "<" text ">" )
 *     value  = 1*( letter / digit / "." / "_" / "-" )
 *     text   = any characters; "<", ">" and "\" stand behind a "\"
 *
 * The fields are the longest tail of the line that reads as such; nothing that a client says can look like one, since in `text` it
 * is escaped and the reply stands before them.
 */
import { logText } from "../model/log-text.ts";

/** `name=<text>`, with what would end it escaped. At most `longest` characters of text. */
export function foreignField(name: string, text: string, longest = 256): string {
  return `${name}=<${logText(text, longest).replace(/[<>\\]/g, "\\$&")}>`;
}

export interface RefusalLine {
  /** The queue id, or "NOQUEUE". */
  readonly id: string;
  readonly command: string;
  readonly client: string;
  readonly address: string;
  readonly reply: string;
  /** `from`, `to`, `helo`, `d`, `by`, `path`, `word`, `plugin`, `table`, `key`, `failure`, `error` … as far as they are there. */
  readonly fields: Readonly<Record<string, string>>;
}

// Not anchored at the left: a log has dates and program names before our part.
const head =
  /(?:^|\s)([0-9A-Za-z]{5,32}|NOQUEUE): reject: ([A-Z][A-Z-]{0,30}) from (\S{1,255}?)\[([0-9A-Za-z.:]{1,64})\]: /;
const field = /^([a-z]{1,16})=(?:<((?:[^<>\\]|\\[<>\\])*)>|([A-Za-z0-9._-]+))(?: |$)/;
/** Longer ones are no lines of ours. */
const longestLine = 8192;

/** `undefined` for what is no refusal, or was cut. */
export function parseRefusalLine(line: string): RefusalLine | undefined {
  if (line.length > longestLine) return undefined;
  const found = head.exec(line);
  if (found === null) return undefined;
  const [whole, id = "", command = "", client = "", address = ""] = found;
  const rest = line.slice(found.index + whole.length).trimEnd();
  for (let at = rest.indexOf("; "); at >= 0; at = rest.indexOf("; ", at + 1)) {
    const fields = parseFields(rest.slice(at + 2));
    if (fields !== undefined) return { id, command, client, address, reply: rest.slice(0, at), fields };
  }
  return undefined;
}

function parseFields(text: string): Readonly<Record<string, string>> | undefined {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  let rest = text;
  while (rest !== "") {
    const found = field.exec(rest);
    if (found === null) return undefined;
    const [whole, name = "", escaped, plain = ""] = found;
    fields[name] = escaped === undefined ? plain : escaped.replace(/\\(.)/g, "$1");
    rest = rest.slice(whole.length);
  }
  return { ...fields };
}
