/**
 * knex's client for SQLite on `node:sqlite`, which needs nothing compiled: connections, plain SQL and its rows. knex's builder has no
 * dialect here. Every value comes as SQLite itself writes it as text.
 */
import { DatabaseSync } from "node:sqlite";
import knex from "knex";
import type { QueryOptions } from "./knex-settings.ts";
import type { SqliteRows, SqliteThread } from "./sqlite-thread.ts";

interface Query {
  readonly sql: string;
  readonly options: QueryOptions;
  response?: SqliteRows;
}

/** A client whose connections are threads that `open` begins. */
export function createSqliteClient(open: () => SqliteThread): typeof knex.Client {
  class SqliteClient extends knex.Client {
    override async acquireRawConnection(): Promise<SqliteThread> {
      const thread = open();
      await thread.started;
      return thread;
    }

    override destroyRawConnection(thread: SqliteThread): Promise<void> {
      thread.end(new Error("it is closed"));
      return Promise.resolve();
    }

    override validateConnection(thread: SqliteThread): Promise<boolean> {
      return Promise.resolve(thread.usable);
    }

    /** The name is knex's. */
    async _query(thread: SqliteThread, query: Query): Promise<Query> {
      query.response = await thread.ask({ sql: query.sql, values: query.options.values });
      return query;
    }

    processResponse({ response }: Query): SqliteRows {
      return response ?? [];
    }
  }
  Object.assign(SqliteClient.prototype, { dialect: "sqlite", driverName: "node:sqlite", _driver: () => DatabaseSync });
  return SqliteClient;
}
