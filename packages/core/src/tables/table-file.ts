/** A text file in postmap's format (postmap(1)), read once into memory: what `texthash`, `hash` and `btree` are made of. */
import { readFile } from "node:fs/promises";
import { ConfigError } from "../errors.ts";
import { EntryMap, type TableEntries } from "./memory-table.ts";
import { logicalLines, type LogicalLine } from "./logical-lines.ts";

/** What a file's author should know: file, line, what was done about it. */
export type TableWarning = (message: string) => void;

export interface TableFileOptions {
  /** "texthash:./clients", for errors. */
  readonly label: string;
  /** Told of lines that are left out and of keys that stand twice; the first stays. */
  readonly warn: TableWarning;
}

/** Reads the file at `path`, an absolute one. Throws `ConfigError` when it cannot be read; a wrong line is a warning. */
export async function readTableFile(path: string, { label, warn }: TableFileOptions): Promise<TableEntries> {
  return readEntries(path, await readOctets(path, label), warn);
}

async function readOctets(path: string, label: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new ConfigError(`table ${label}: ${path}: ${why}`, { cause: error });
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
