/** A text file in postmap's format (postmap(1)), read once into memory: what `texthash`, `hash` and `btree` are made of. */
import { readFile } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { ConfigError } from "../errors.ts";
import type { TableEntries } from "./memory-table.ts";
import { TextEntries } from "./text-entries.ts";

/** What a file's author should know: file, line, what was done about it. */
export type TableWarning = (message: string) => void;

export interface TableFileOptions {
  /** "texthash:./clients", for errors. */
  readonly label: string;
  /** Told of lines that are left out and of keys that stand twice; the first stays. */
  readonly warn: TableWarning;
}

/** Other work of the process comes in between so many octets, a few milliseconds. */
const pieceOctets = 2 ** 20;
/** Warnings of one file; beyond them only their number, so that a wrong file does not fill the log. */
const mostWarnings = 100;

/** Reads the file at `path`, an absolute one. Throws `ConfigError` when it cannot be read; a wrong line is a warning. */
export async function readTableFile(path: string, { label, warn }: TableFileOptions): Promise<TableEntries> {
  let warnings = 0;
  const entries = new TextEntries(path, await readOctets(path, label), (line, text) => {
    warnings += 1;
    if (warnings <= mostWarnings) warn(`${path}, line ${line}: ${text}`);
  });
  for (const _ of entries.load(pieceOctets)) await turn();
  if (warnings > mostWarnings) warn(`${path}: ${warnings - mostWarnings} more lines like these`);
  return entries;
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
