// The two databases of the shared state, with one way to start, stop and name them.
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { makeCertificate } from "../services/certificate.ts";
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
  /** PEM file of the authority of its certificate, which is for 127.0.0.1 and localhost. */
  readonly authority: string;
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
  const cert = join(folder, "tls.pem");
  const key = join(folder, "tls.key");
  if (!existsSync(cert)) makeCertificate(folder, ["localhost"]);
  // It runs as another user.
  chmodSync(key, 0o644);
  const service = await startMariadb({ folder, port, sql, args: [`--ssl-cert=${cert}`, `--ssl-key=${key}`] });
  const connection = { host: "127.0.0.1", port, user: "mail", database: "mail" };
  return { client: "mysql", connection, service, authority: cert, query: (text) => service.query(text, "mail") };
}

async function startPostgres(folder: string, port: number): Promise<Omit<Database, "restart">> {
  const service = await startPostgresql({ folder, port, tls: true });
  const connection = { host: "127.0.0.1", port, user: "mail", database: "mail" };
  const { authority = "" } = service;
  return { client: "pg", connection, service, authority, query: (text) => service.query(text) };
}
