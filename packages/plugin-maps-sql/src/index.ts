/** Lookup tables in PostgreSQL and SQLite, with Postfix's parameters (pgsql_table(5), sqlite_table(5)). */
import { definePlugin, Shared } from "@postern/core";
import { z } from "zod";
import { openPgsql } from "./pgsql.ts";
import type { PostgresCluster } from "./postgres-cluster.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { openSqlite } from "./sqlite.ts";

export default definePlugin({
  name: "maps-sql",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    const clusters = new Shared<PostgresCluster>();
    const databases = new Shared<SqliteDatabase>();
    gateway.tables.register(
      "pgsql",
      (name, scope, parameters) => openPgsql(name, scope, parameters, clusters),
      "A query to PostgreSQL: the file has the parameters of pgsql_table(5).",
    );
    gateway.tables.register(
      "sqlite",
      (name, scope, parameters) => openSqlite(name, scope, parameters, databases),
      "A query to an SQLite file: the file has the parameters of sqlite_table(5).",
    );
  },
});
