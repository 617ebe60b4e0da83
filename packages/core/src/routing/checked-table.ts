/** Tables of routing: opened with what routing asks of them, and the values that can be seen checked. */
import { ConfigError, TableUnavailable } from "../errors.ts";
import {
  checkEntries,
  describeEntry,
  type Located,
  type LookupTable,
  type Match,
  type TablePurpose,
  type TableSpec,
} from "../tables/index.ts";

export type OpenTable = (spec: TableSpec, purpose: TablePurpose) => Promise<LookupTable>;

/** The key is a stranger's, and a transport may run programs: neither reaches the answer. */
const purpose: TablePurpose = Object.freeze({ trustedOnly: true, withoutSubstitution: true });

/** Throws `ConfigError` for a table that cannot be opened, and for the first value in memory that `parse` refuses. */
export async function openCheckedTables(
  specs: readonly TableSpec[],
  key: string,
  openTable: OpenTable,
  parse: (value: string) => unknown,
): Promise<readonly LookupTable[]> {
  const tables: LookupTable[] = [];
  for (const [index, spec] of specs.entries()) {
    const place = specs.length === 1 ? key : `${key}[${index}]`;
    try {
      const table = await openTable(spec, purpose);
      await checkEntries(table, (entry) => checkEntry(table, entry, parse));
      tables.push(table);
    } catch (error) {
      if (error instanceof ConfigError) throw new ConfigError(`${place}: ${error.message}`, { cause: error });
      throw error;
    }
  }
  return tables;
}

function checkEntry(table: LookupTable, entry: Located, parse: (value: string) => unknown): void {
  try {
    parse(entry.value);
  } catch (error) {
    throw new ConfigError(`${describeEntry(table, entry)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Throws `TableUnavailable` for a value that cannot be used: the mail waits for the operator. */
export function parseMatch<T>({ table, key, value }: Match, parse: (value: string) => T): T {
  try {
    return parse(value);
  } catch (error) {
    const { message } = error as Error;
    throw new TableUnavailable(`${table.type}:${table.name}`, `key "${key}": ${message}`, { cause: error });
  }
}
