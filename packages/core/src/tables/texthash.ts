/** `texthash:file`: a text file in postmap's format, read once. Changes are seen by the next generation. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import { createMemoryTable, EntryMap } from "./memory-table.ts";
import { logicalLines, type LogicalLine } from "./logical-lines.ts";
import type { TableType } from "./table.ts";

/** What a file's author should know: file, line, what was done about it. */
export type TableWarning = (message: string) => void;

export function createTexthash(warn: TableWarning): TableType {
  return {
    type: "texthash",
    description: "A text file of keys and values in postmap's format, read when the gateway starts or reloads.",
    async open(name, { directory }) {
      if (name === "") throw new ConfigError('table "texthash:" needs a file name');
      const path = resolve(directory, name);
      const entries = readEntries(path, await readTableFile(path, name), warn);
      return createMemoryTable("texthash", name, entries);
    },
  };
}

async function readTableFile(path: string, name: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new ConfigError(`table texthash:${name}: ${path}: ${why}`, { cause: error });
  }
}

function readEntries(path: string, file: Buffer, warn: TableWarning): EntryMap {
  const entries = new EntryMap();
  const warnAt = (line: number, text: string) => warn(`${path}, line ${line}: ${text}`);
  for (const logical of logicalLines(file, warnAt)) {
    const entry = splitEntry(logical, warnAt);
    if (entry !== undefined && !entries.add({ file: path, line: logical.line, ...entry })) {
      warnAt(logical.line, `ignoring duplicate entry: "${entry.key}"`);
    }
  }
  return entries;
}

const blank = /[ \t\v\f\r]/;

/** Key and value, split at the first blank outside of quotes; a backslash takes the next character as it is. */
function splitEntry(
  { line, text }: LogicalLine,
  warn: (line: number, text: string) => void,
): { key: string; value: string } | undefined {
  let quoted = false;
  let end = 0;
  for (; end < text.length; end++) {
    const character = text.charAt(end);
    if (character === "\\") end++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && blank.test(character)) break;
  }
  if (quoted) {
    warn(line, `unbalanced '"' -- ignoring this line`);
    return undefined;
  }
  const key = text.slice(0, end);
  const value = trimBlanks(text.slice(end));
  if (key === "" || value === "") {
    warn(line, "expected format: key whitespace value -- ignoring this line");
    return undefined;
  }
  if (key.endsWith(":")) warn(line, 'record is in "key: value" format; is this an alias file?');
  return { key, value };
}

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && blank.test(text.charAt(start))) start++;
  while (end > start && blank.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}
