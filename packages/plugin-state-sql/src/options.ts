/** Options of the SQL state store. */
import { duration, secret } from "@postern/core";
import { z } from "zod";

const file = () => z.string().min(1);

const tls = z.strictObject({
  ca: file().optional().describe("PEM file of the authorities to trust; the system's unless given."),
  cert: file().optional().describe("PEM file of our certificate, for servers that ask for one."),
  key: file().optional().describe("PEM file of its key."),
  verify: z
    .boolean()
    .default(true)
    .describe("Whether the server's certificate must be right. Without it anybody can be the server."),
});

const connection = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("The server."),
  port: z.int().min(1).max(65_535).optional().describe("3306 for `mysql`, 5432 for `pg` unless given."),
  socketPath: z
    .string()
    .startsWith("/")
    .optional()
    .describe("Unix socket in place of host and port: for `mysql` the socket, for `pg` its folder."),
  user: z
    .string()
    .min(1)
    .describe("The database's user. It needs SELECT, INSERT, UPDATE, DELETE and, the first time, CREATE."),
  password: secret().optional().describe("Its password. Read again for each connection."),
  database: z.string().min(1).describe("The database."),
  ssl: z
    .union([z.boolean(), tls], { error: "expected true, false, or an object of certificates" })
    .default(false)
    .describe("TLS: `true`, or which certificates; not on a unix socket."),
});

export const options = z.strictObject({
  client: z.enum(["mysql", "pg"]).describe("`mysql` for MySQL and MariaDB, `pg` for PostgreSQL."),
  connection: connection.describe("The server and how to log in."),
  table: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, { error: 'expected a table name such as "postern_state"' })
    .default("postern_state")
    .describe("Table of the state. It is made when it is not there. Gateways that share it share their state."),
  connections: z.int().min(1).max(1000).default(10).describe("Connections at most."),
  timeout: duration({ min: "100ms", max: "30s" })
    .default("2s")
    .describe(
      "Longest wait for one answer, a connection included. Then the word that asked fails, and its `onError` decides.",
    ),
  retryInterval: duration({ min: "100ms", max: "1m" })
    .default("1s")
    .describe("After a failure all calls fail at once for so long; then one tries again."),
});

export type Options = z.output<typeof options>;
