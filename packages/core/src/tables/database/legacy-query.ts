/** The query of an SQL table: `query`, or built of the older parameters (db_common_sql_build_query). */
import type { DatabaseParameters } from "./parameters.ts";

/** The template's text. Throws `ConfigError` when neither way is complete. */
export function readSqlQuery(parameters: DatabaseParameters): string {
  const older = ["select_field", "table", "where_field", "additional_conditions"] as const;
  const query = parameters.text("query");
  if (query !== undefined) {
    // Not looked at beside `query`, and not unknown.
    for (const key of older) parameters.isEmpty(key);
    return query;
  }
  if (older.every((key) => parameters.text(key) === undefined))
    throw parameters.mistake("query", "this parameter is needed");
  const [field, table, where] = [older[0], older[1], older[2]].map((key) => parameters.required(key));
  return `SELECT ${field} FROM ${table} WHERE ${where}='%s' ${parameters.text("additional_conditions", "")}`;
}
