/** `sqlite:file`: sqlite_table(5). */
import { resolve } from "node:path";
import {
  ConfigError,
  readAnswerRules,
  readSqlQuery,
  readTableParameters,
  type Shared,
  type LookupTable,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { DatabaseSync } from "node:sqlite";
import { isLocked, SqliteDatabase } from "./sqlite-database.ts";
import { parseSqlTemplate, type SqlDialect } from "./sql-template.ts";
import { createSqlTable } from "./sql-table.ts";

const dialect: SqlDialect = {
  placeholder: (number) => `?${number}`,
  doubleQuotedStrings: true,
  postgresStrings: false,
};

export async function openSqlite(
  name: string,
  scope: TableScope,
  object: TableParameters,
  databases: Shared<SqliteDatabase>,
): Promise<LookupTable> {
  const parameters = await readTableParameters("sqlite", name, scope, object);
  const { label } = parameters;
  const path = resolve(scope.directory, parameters.required("dbpath"));
  const query = parseSqlTemplate(readSqlQuery(parameters), dialect, label);
  const rules = await readAnswerRules(parameters, scope);
  const timeoutMs = parameters.milliseconds("timeout", 1000);
  parameters.finish();
  proveQuery(path, query.sql, label);
  const database = databases.take([path, timeoutMs], () => new SqliteDatabase(path, timeoutMs, scope.clock));
  return createSqlTable({
    type: "sqlite",
    name,
    label,
    rules,
    values: (key) => query.values(key),
    // Of each row the first column counts, as in Postfix.
    ask: async (values) => {
      const rows = await database.value.query(label, query.sql, values);
      return rows.map(([first]) => first ?? "");
    },
    close: () => database.release(),
  });
}

/** A file that is no database, and SQL with a mistake, are said at the start. */
function proveQuery(path: string, sql: string, label: string): void {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 0, allowExtension: false });
    try {
      database.prepare(sql);
    } finally {
      database.close();
    }
  } catch (error) {
    if (isLocked(error)) return;
    throw new ConfigError(`table ${label}: ${path}: ${error instanceof Error ? error.message : "unknown error"}`, {
      cause: error,
    });
  }
}
