/** Header fields of ICAP and of the HTTP messages inside: names without case, folded lines kept as lines. */
import type { Connection } from "./connection.ts";
import { fault } from "./fault.ts";

const longestLine = 16 * 1024;
const mostLines = 256;
const mostBytes = 64 * 1024;

export class Fields {
  readonly #values = new Map<string, string>();

  /** Lines after the first of a field begin with a blank; several fields of one name are a list. Throws `ScannerFailure`. */
  static parse(lines: readonly string[]): Fields {
    const fields = new Fields();
    let name: string | undefined;
    for (const line of lines) {
      if (/^[ \t]/.test(line)) {
        if (name === undefined) throw fault("a header that begins with a continuation");
        fields.#values.set(name, `${fields.#values.get(name) ?? ""}\n${line.trim()}`);
        continue;
      }
      const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)$/s.exec(line);
      if (field?.[1] === undefined || field[2] === undefined) throw fault("a header line that is none");
      name = field[1].toLowerCase();
      const before = fields.#values.get(name);
      const value = field[2].trim();
      fields.#values.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    return fields;
  }

  /** Lower-case name. */
  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** Is `token` one of the list in that field? */
  lists(name: string, token: string): boolean {
    const value = this.#values.get(name);
    return (
      value !== undefined &&
      value
        .toLowerCase()
        .split(/[\s,]+/)
        .includes(token)
    );
  }
}

export interface Head {
  readonly start: string;
  readonly fields: Fields;
}

/** Start line and fields up to the blank line. */
export async function readHead(connection: Connection): Promise<Head> {
  const start = await connection.line(longestLine);
  return { start, fields: Fields.parse(await readLines(connection)) };
}

/** Lines up to a blank one. */
export async function readLines(connection: Connection): Promise<string[]> {
  const lines: string[] = [];
  for (let bytes = 0; ;) {
    const line = await connection.line(longestLine);
    if (line === "") return lines;
    bytes += line.length;
    if (lines.push(line) > mostLines || bytes > mostBytes) throw fault("a header without end");
  }
}
