// The two databases of the shared state, with one way to start, stop and name them.
import { afterAll, beforeAll } from "vitest";
import { describeUnless, describeWith } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { startMariadb } from "../services/mariadb.ts";
import { freePort } from "../services/ports.ts";
import { requirePostgresql, startPostgresql } from "../services/postgresql.ts";
import type { Service } from "../services/service.ts";

/** In the options of the plugin; the password is `secret`. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export interface Database {
  readonly client: "mysql" | "pg";
  readonly connection: Connection;
  readonly service: Service;
  query(sql: string): string;
  /** Again, with the same port and data. */
  restart(): Promise<void>;
}

/** A suite for each, with a server of its own. */
export function describeDatabases(name: string, body: (database: () => Database) => void): void {
  describeWith(["mariadbd"], `${name}, MariaDB`, () => body(startIn(startMaria)));
  describeUnless(requirePostgresql(), `${name}, PostgreSQL`, () => body(startIn(startPostgres)));
}

function startIn(start: (folder: string, port: number) => Promise<Omit<Database, "restart">>): () => Database {
  let folder: ReturnType<typeof temporaryFolder>;
  let port: number;
  let running: Omit<Database, "restart">;
  beforeAll(async () => {
    folder = temporaryFolder();
    port = await freePort();
    running = await start(folder.path, port);
  });
  afterAll(async () => {
    await running.service.stop();
    folder[Symbol.dispose]();
  });
  return () => ({
    ...running,
    restart: async () => {
      running = await start(folder.path, port);
    },
  });
}

async function startMaria(folder: string, port: number): Promise<Omit<Database, "restart">> {
  const sql = "CREATE DATABASE mail; GRANT ALL ON mail.* TO mail@'%' IDENTIFIED BY 'secret'";
  const service = await startMariadb({ folder, port, sql });
  const connection = { host: "127.0.0.1", port, user: "mail", database: "mail" };
  return { client: "mysql", connection, service, query: (text) => service.query(text, "mail") };
}

async function startPostgres(folder: string, port: number): Promise<Omit<Database, "restart">> {
  const service = await startPostgresql({ folder, port });
  const connection = { host: "127.0.0.1", port, user: "mail", database: "mail" };
  return { client: "pg", connection, service, query: (text) => service.query(text) };
}
