/**
 * The `.cf` file of a database table, as operators have it for Postfix: main.cf's syntax without `$name` expansion (dict_load_fp,
 * split_nameval). Of equal names the last one stands.
 */
import { readFile } from "node:fs/promises";
import { ConfigError } from "../../errors.ts";
import { logicalLines } from "../logical-lines.ts";

/** One value with the place where it is written, for messages. */
export interface Written {
  readonly value: unknown;
  /** "./aliases.cf, line 3". */
  readonly where: string;
}

/** A file of parameters is no longer than this; whoever names a database in its place is told so. */
const longestBytes = 1024 * 1024;

/** Reads `path`; `label` stands in messages. Throws `ConfigError` where Postfix stops with a fatal error. */
export async function readCfFile(
  path: string,
  label: string,
  warn: (message: string) => void,
): Promise<Map<string, Written>> {
  return parseCfFile(await readBytes(path, label), path, warn);
}

async function readBytes(path: string, label: string): Promise<Buffer> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= longestBytes) return bytes;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new ConfigError(`table ${label}: ${path}: ${why}`, { cause: error });
  }
  throw new ConfigError(`table ${label}: ${path}: it is longer than 1 MB; is it a file of parameters?`);
}

/** `name = value` lines. A warning never repeats a value: it may be a password. */
function parseCfFile(bytes: Buffer, path: string, warn: (message: string) => void): Map<string, Written> {
  const parameters = new Map<string, Written>();
  const warnAt = (line: number, what: string) => warn(`${path}, line ${line}: ${what}`);
  for (const { line, text } of logicalLines(bytes, warnAt)) {
    const where = `${path}, line ${line}`;
    const { name, value } = splitParameter(text, where);
    if (parameters.has(name)) warnAt(line, `overriding earlier entry: "${name}"`);
    parameters.set(name, { value, where });
  }
  return parameters;
}

/** C's isspace in ASCII. */
const parameterForm = /^([^ \t\v\f\r=]+)[ \t\v\f\r]*=([^]*)$/;
const blanksAround = /^[ \t\v\f\r]+|[ \t\v\f\r]+$/g;

function splitParameter(text: string, where: string): { name: string; value: string } {
  const match = parameterForm.exec(text);
  if (match !== null) return { name: match[1] ?? "", value: (match[2] ?? "").replace(blanksAround, "") };
  if (text.startsWith("=")) throw new ConfigError(`${where}: missing attribute name; write name = value`);
  throw new ConfigError(`${where}: missing "=" after attribute name; write name = value`);
}
