/**
 * knex's client for SQLite on `node:sqlite`, which needs nothing compiled: connections, plain SQL and its rows. knex's builder has no
 * dialect here. Every value comes as SQLite itself writes it as text.
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import knex from "knex";
import type { QueryOptions } from "./knex-settings.ts";
import { textOf } from "./sqlite-text.ts";

interface Connection {
  readonly database: DatabaseSync;
  /** One SQL a table; tables of one file share the connection. */
  readonly statements: Map<string, StatementSync>;
}

interface Query {
  readonly sql: string;
  readonly options: QueryOptions;
  response?: (string | null)[][];
}

export class SqliteClient extends knex.Client {
  override acquireRawConnection(): Promise<Connection> {
    const { filename } = this.connectionSettings as { readonly filename: string };
    return new Promise((resolve) => {
      resolve({ database: openReadOnly(filename), statements: new Map() });
    });
  }

  override destroyRawConnection({ database }: Connection): Promise<void> {
    if (database.isOpen) database.close();
    return Promise.resolve();
  }

  override validateConnection(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** The name is knex's. */
  _query({ database, statements }: Connection, query: Query): Promise<Query> {
    return new Promise((resolve) => {
      let statement = statements.get(query.sql);
      if (statement === undefined) {
        statement = prepare(database, query.sql);
        statements.set(query.sql, statement);
      }
      // With setReturnArrays() rows are arrays, which the types of node:sqlite do not say.
      const rows = statement.all(...query.options.values) as unknown as readonly SQLOutputValue[][];
      query.response = rows.map((row) => row.map(textOf));
      resolve(query);
    });
  }

  processResponse({ response }: Query): (string | null)[][] {
    return response ?? [];
  }
}

Object.assign(SqliteClient.prototype, { dialect: "sqlite", driverName: "node:sqlite", _driver: () => DatabaseSync });

export function openReadOnly(filename: string): DatabaseSync {
  // Waiting for a lock would stop the whole process; it is done outside.
  return new DatabaseSync(filename, { readOnly: true, timeout: 0, allowExtension: false });
}

export function prepare(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  return statement;
}
