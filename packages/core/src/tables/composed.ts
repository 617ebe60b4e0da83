/** What tables made of tables have in common: `{ type:name, type:name }` or the object's `tables`, opened for the same purpose. */
import { ConfigError } from "../errors.ts";
import { isGrouped, splitWords, withoutBraces } from "./split-words.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableParameters, TableScope, TableSpec } from "./table.ts";

/** At least one table; a `{ type:name }` in braces of its own is taken too. Throws `ConfigError`. */
export async function openInner(
  type: string,
  name: string,
  scope: TableScope,
  parameters: TableParameters,
): Promise<readonly [LookupTable, ...LookupTable[]]> {
  const specs = name === "" ? readTables(type, parameters) : readName(type, name, parameters);
  const [first, ...others] = await Promise.all(specs.map((spec) => scope.open(spec)));
  if (first === undefined) throw badSyntax(type, name);
  return [first, ...others];
}

/** The words of `{ a, b }`, each with its own braces. Throws `ConfigError` when there is none. */
export function readWords(type: string, name: string): string[] {
  const words = isGrouped(name) ? splitWords(withoutBraces(name)) : [];
  if (words.length === 0) throw badSyntax(type, name);
  return words;
}

function readName(type: string, name: string, parameters: TableParameters): TableSpec[] {
  refuseParameters(`${type}:${name}`, parameters);
  return readWords(type, name).map(withoutBraces);
}

function readTables(type: string, parameters: TableParameters): TableSpec[] {
  refuseParameters(type, parameters, ["tables"]);
  const { tables } = parameters;
  if (!Array.isArray(tables) || tables.length === 0) {
    throw new ConfigError(
      `table ${type}: "tables" is a list of tables, as in { "type": "${type}", "tables": ["texthash:./a"] }`,
    );
  }
  return tables as TableSpec[];
}

function badSyntax(type: string, name: string): ConfigError {
  const inside = type === "randmap" ? "value, …" : "type:name, …";
  return new ConfigError(`table ${type}:${name}: write ${type}:{ ${inside} }`);
}

/** The name of a table of tables, for logs: as written, or by its parts. */
export function composedName(name: string, tables: readonly LookupTable[]): string {
  return name === "" ? `{${tables.map((inner) => `${inner.type}:${inner.name}`).join(",")}}` : name;
}
