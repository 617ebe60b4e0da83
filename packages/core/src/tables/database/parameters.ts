/** The parameters of a database table: from a `.cf` file, or the keys of an object in the config; one way to read both (cfg_parser). */
import { resolve } from "node:path";
import { didYouMean } from "../../config/nearest.ts";
import { secret } from "../../config/secret.ts";
import { parseDuration } from "../../config/units.ts";
import { ConfigError } from "../../errors.ts";
import { splitWords } from "../split-words.ts";
import type { TableParameters, TableScope } from "../table.ts";
import { readCfFile, type Written } from "./cf-file.ts";

/** A key is known once it was asked for. Every reader throws `ConfigError` with key and place for what it cannot take. */
export interface DatabaseParameters {
  /** "mysql:./aliases.cf", for errors and logs. */
  readonly label: string;
  /** The value; an empty one counts as absent. A secret is read here. A list is joined by ", ". */
  text(key: string): string | undefined;
  text(key: string, fallback: string): string;
  required(key: string): string;
  /** Words separated by white space and commas, or an array in an object. Empty when absent. */
  list(key: string): string[];
  integer(key: string, fallback: number, range?: { readonly min?: number; readonly max?: number }): number;
  /** yes, no, true, false in any case. */
  flag(key: string, fallback: boolean): boolean;
  /** Postfix's time values, seconds unless said: 60, 60s, 5m; in an object also "1h30m" and "500ms". */
  milliseconds(key: string, fallbackMs: number): number;
  /** Written with nothing behind the equals sign: a mistake for some keys. */
  isEmpty(key: string): boolean;
  /** An error that names the key and where it is written. */
  mistake(key: string, why: string): ConfigError;
  /** Warns of each key that nobody asked for. */
  finish(): void;
}

/**
 * `name` is a file, relative to the scope's directory; the keys of `object` stand before those of the file. Throws `ConfigError`
 * when the file cannot be read or there is neither.
 */
export async function readTableParameters(
  type: string,
  name: string,
  scope: TableScope,
  object: TableParameters,
): Promise<DatabaseParameters> {
  const label = name === "" ? type : `${type}:${name}`;
  const keys = Object.entries(object).filter(([, value]) => value !== undefined);
  if (name === "" && keys.length === 0) {
    throw new ConfigError(
      `table "${type}:" needs a file of parameters, as in ${type}:./table.cf, or the parameters themselves`,
    );
  }
  const written =
    name === ""
      ? new Map<string, Written>()
      : await readCfFile(resolve(scope.directory, name), label, (message) => scope.warn(message));
  for (const [key, value] of keys) written.set(key, { value, where: `table ${label}` });
  return createParameters(label, written, scope);
}

const secretSchema = secret();
const timeUnits: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Longer is the same as for ever, and what a timer takes. */
const longestMs = 2 ** 31 - 1;

function createParameters(label: string, written: ReadonlyMap<string, Written>, scope: TableScope): DatabaseParameters {
  const asked = new Set<string>();

  function find(key: string): unknown {
    asked.add(key);
    const value = written.get(key)?.value;
    return value === "" ? undefined : value;
  }

  function mistake(key: string, why: string): ConfigError {
    return new ConfigError(`${written.get(key)?.where ?? `table ${label}`}: ${key}: ${why}`);
  }

  function toText(key: string, value: unknown): string {
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    if (Array.isArray(value)) return value.map((word) => toText(key, word)).join(", ");
    const source = secretSchema.safeParse(value);
    if (source.success) return source.data.reveal(scope.directory);
    throw mistake(key, 'expected text, a number, yes or no, or a secret as { file: "…" } or { env: "…" }');
  }

  function text(key: string): string | undefined;
  function text(key: string, fallback: string): string;
  function text(key: string, fallback?: string): string | undefined {
    const value = find(key);
    return value === undefined ? fallback : toText(key, value);
  }

  function required(key: string): string {
    const value = text(key);
    if (value === undefined || value === "") throw mistake(key, "this parameter is needed");
    return value;
  }

  function list(key: string): string[] {
    const value = find(key);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value.map((word) => toText(key, word)).filter((word) => word !== "");
    return splitWords(toText(key, value));
  }

  function integer(
    key: string,
    fallback: number,
    range: { readonly min?: number; readonly max?: number } = {},
  ): number {
    if (isEmpty(key)) throw mistake(key, "expected a whole number");
    const value = text(key);
    if (value === undefined) return fallback;
    const number = Number(value);
    const { min = -(2 ** 31), max = 2 ** 31 - 1 } = range;
    if (!/^[+-]?\d+$/.test(value)) throw mistake(key, `expected a whole number, not "${value}"`);
    if (number < min || number > max) throw mistake(key, `${value} is not between ${min} and ${max}`);
    return number;
  }

  function flag(key: string, fallback: boolean): boolean {
    if (isEmpty(key)) throw mistake(key, "expected yes or no");
    const value = text(key)?.toLowerCase();
    if (value === undefined) return fallback;
    if (value === "yes" || value === "true") return true;
    if (value === "no" || value === "false") return false;
    throw mistake(key, `expected yes or no, not "${value}"`);
  }

  function milliseconds(key: string, fallbackMs: number): number {
    const value = text(key);
    if (value === undefined) return fallbackMs;
    const [, count = "", unit = "s"] = /^(\d+)([smhdw])?$/.exec(value) ?? [];
    const duration = count === "" ? parseDuration(value) : Number(count) * (timeUnits[unit] ?? 0);
    if (duration === undefined) throw mistake(key, `expected a time as 60, 60s or 5m, not "${value}"`);
    return Math.min(duration, longestMs);
  }

  function isEmpty(key: string): boolean {
    asked.add(key);
    return written.get(key)?.value === "";
  }

  function finish(): void {
    for (const [key, { where }] of written) {
      if (!asked.has(key)) scope.warn(`${where}: unknown parameter "${key}"${didYouMean(key, asked)}`);
    }
  }

  return Object.freeze({ label, text, required, list, integer, flag, milliseconds, isEmpty, mistake, finish });
}
