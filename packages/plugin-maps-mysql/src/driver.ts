/**
 * The part of mysql2 that is used, and the settings without which its answers or its failures would not be ours to judge.
 * One connection, callbacks, prepared statements; its own pool, time-outs and escaping are not used.
 */
import { createConnection, type ConnectionOptions } from "mysql2";
import type { Column } from "./column-text.ts";
import type { HostAddress } from "./hosts.ts";
import type { ServerLogin } from "./server.ts";

export interface DriverError extends Error {
  readonly code?: string;
  readonly errno?: number;
  /** Present when the server said it. */
  readonly sqlState?: string;
  readonly fatal?: boolean;
}

/** Rows of one result set, an OK packet, or for several results an array of these; `fields` tells which. */
export type DriverCallback = (error: DriverError | null, result?: unknown, fields?: DriverFields) => void;
export type DriverFields = readonly (Column | readonly Column[] | undefined)[] | undefined;

export interface DriverStatement {
  execute(values: readonly string[], done: DriverCallback): void;
}

export interface DriverStream {
  destroy(): void;
  on(event: "close", listener: () => void): unknown;
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
}

export interface Driver {
  on(event: "connect" | "end", listener: () => void): unknown;
  on(event: "error", listener: (error: DriverError) => void): unknown;
  query(sql: string, done: DriverCallback): unknown;
  prepare(sql: string, done: (error: DriverError | null, statement: DriverStatement) => void): unknown;
  /** Says goodbye; the server then closes. */
  end(): unknown;
  destroy(): void;
  /** Another one after "connect" than before, when there is TLS. */
  readonly stream: DriverStream;
}

export type OpenDriver = (address: HostAddress, login: ServerLogin) => Driver;

/**
 * Not wanted of mysql2's habits: IGNORE_SPACE and ODBC change what SQL means, LOCAL_FILES lets a server read our files. Wanted: the results of stored
 * procedures.
 */
const flags = ["-IGNORE_SPACE", "-ODBC", "-LOCAL_FILES", "-FOUND_ROWS", "PS_MULTI_RESULTS"];

/** Begins to connect; "connect" or "error" follows. */
export const openDriver: OpenDriver = (address, login) => {
  const options: ConnectionOptions = {
    user: login.user,
    password: login.password,
    database: login.database,
    charset: login.collation,
    flags,
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    // The session has a timer of its own for the whole of the opening.
    connectTimeout: 0,
    enableKeepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(address.kind === "unix" ? { socketPath: address.path } : { host: address.host, port: address.port }),
    ...(address.kind === "inet" && login.tls !== undefined ? { ssl: login.tls } : {}),
  };
  return createConnection(options) as unknown as Driver;
};
