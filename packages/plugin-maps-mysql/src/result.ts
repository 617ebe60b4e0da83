/** What came back, as Postfix reads it: the columns of all rows of the one result set. */
import { textOf, type Column } from "./column-text.ts";
import type { DriverFields } from "./driver.ts";

/** The server answered, but not with what can be a table's answer. */
export class WrongResult extends Error {
  override readonly name = "WrongResult";
}

/** All values, row by row; NULL is left out. Throws `WrongResult`. */
export function readValues(result: unknown, fields: DriverFields, resultSetRequired: boolean): string[] {
  const sets = resultSets(result, fields);
  if (sets.length > 1) throw new WrongResult("several result sets");
  const [set] = sets;
  if (set === undefined) {
    if (resultSetRequired) throw new WrongResult("no result set (require_result_set = yes)");
    return [];
  }
  const values: string[] = [];
  for (const row of set.rows) {
    for (let at = 0; at < set.columns.length; at++) {
      const column = set.columns[at];
      if (column === undefined) continue;
      const value = read(row[at], column);
      if (value !== undefined) values.push(value);
    }
  }
  return values;
}

interface ResultSet {
  readonly rows: readonly (readonly unknown[])[];
  readonly columns: readonly Column[];
}

/** A stored procedure's results end with an OK packet, so that they always come as several. */
function resultSets(result: unknown, fields: DriverFields): ResultSet[] {
  if (fields === undefined) return [];
  if (!fields.some((field) => field === undefined || Array.isArray(field))) {
    return [{ rows: result as ResultSet["rows"], columns: fields as readonly Column[] }];
  }
  return fields.flatMap((columns, at) =>
    Array.isArray(columns)
      ? [{ rows: (result as ResultSet["rows"][])[at] ?? [], columns: columns as readonly Column[] }]
      : [],
  );
}

function read(value: unknown, column: Column): string | undefined {
  try {
    return textOf(value, column);
  } catch (error) {
    throw new WrongResult((error as Error).message);
  }
}
