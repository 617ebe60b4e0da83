/**
 * MySQL: our table with its cache off beside mysql2's own `execute` on a pool of the same size, and postmap on the same data. The
 * server is started here and shares the machine with all of them.
 */
import { utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createGuard, createTableRegistry, systemClock } from "@postern/core";
import type { LookupTable, OpenTable } from "@postern/core";
import { temporaryFolder } from "../../test/services/folder.ts";
import { startMariadb } from "../../test/services/mariadb.ts";
import { median } from "../lib/statistics.ts";
import { measurePostmap } from "./postmap-rate.ts";

export interface MysqlMeasure {
  /** Lookups a second, medians. */
  readonly ours: number;
  readonly raw: number;
  /** Median over the rounds of ours / raw, each measured one after the other. */
  readonly ratio: number;
  /** Missing where Postfix with its MySQL client is not installed. */
  readonly postmap: number | undefined;
}

export interface MysqlOptions {
  /** For one round of each. */
  readonly lookups: number;
  readonly rounds: number;
}

export const mysqlNeeds = ["mariadbd", "mariadb-install-db"] as const;

const rows = 10_000;
const atOnce = 20;
const connections = 10;
const login = { user: "mail", password: "secret", dbname: "mail" };
const query = "SELECT goto FROM alias WHERE address = '%s' AND active = 1";

export async function measureMysql(options: MysqlOptions): Promise<MysqlMeasure> {
  using folder = temporaryFolder();
  await using server = await startMariadb({
    folder: folder.path,
    sql: `CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail;
      CREATE TABLE alias (address VARCHAR(254) PRIMARY KEY, goto TEXT NOT NULL, active TINYINT DEFAULT 1);
      INSERT INTO alias SELECT CONCAT('user', seq, '@example.test'), CONCAT('box', seq, '@to.test'), 1 FROM seq_1_to_${rows};
      CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT ALL ON mail.* TO mail@'%';`,
  });
  const ours = await openOurs(folder.path, server.port);
  const raw = openRaw(server.port);
  const rates: { readonly ours: number; readonly raw: number }[] = [];
  try {
    await time(ours.ask, options.lookups / 4);
    await time(raw.ask, options.lookups / 4);
    for (let round = 0; round < options.rounds; round += 1) {
      // Who comes second finds a warmer machine: they take turns.
      const first = round % 2 === 0;
      const before = first ? await time(ours.ask, options.lookups) : 0;
      const rate = await time(raw.ask, options.lookups);
      rates.push({ ours: first ? before : await time(ours.ask, options.lookups), raw: rate });
    }
  } finally {
    await ours.close();
    await raw.close();
  }
  return {
    ours: median(rates.map((rate) => rate.ours)),
    raw: median(rates.map((rate) => rate.raw)),
    ratio: median(rates.map((rate) => rate.ours / rate.raw)),
    postmap: await askPostmap(folder.path, server.port, options.lookups),
  };
}

/** "key → value", where one key in five has none. */
type Ask = (key: string) => Promise<string | undefined> | string | undefined;

const keyOf = (number: number): string => `${number % 5 === 0 ? "nobody" : "user"}${(number % rows) + 1}@example.test`;

/** Lookups a second with `atOnce` on their way all the time. */
async function time(ask: Ask, lookups: number): Promise<number> {
  let asked = 0;
  const began = performance.now();
  const worker = async () => {
    while (asked < lookups) {
      const number = asked++;
      const answer = await ask(keyOf(number));
      const expected = number % 5 === 0 ? undefined : `box${(number % rows) + 1}@to.test`;
      if (answer !== expected) throw new Error(`${keyOf(number)}: ${answer}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (lookups / (performance.now() - began)) * 1000;
}

async function openOurs(directory: string, port: number): Promise<{ ask: Ask; close(): Promise<void> }> {
  // oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
  const { default: plugin } = await import("@postern/plugin-maps-mysql");
  const registry = createTableRegistry({
    directory,
    clock: systemClock,
    guard: createGuard(systemClock, () => {}),
    warn: () => {},
  });
  const owner = Object.freeze({ name: "maps-mysql", onError: "defer", deadlineMs: 10_000 } as const);
  const register = (type: string, open: OpenTable, description: string) =>
    registry.register({ type, open, description }, owner);
  // The plugin asks nothing else of its gateway.
  void plugin.setup({ tables: { register } } as never, {});
  const table: LookupTable = await registry.open({
    type: "mysql",
    hosts: `127.0.0.1:${port}`,
    ...login,
    connections,
    query,
  });
  return { ask: (key) => table.lookup(key), close: () => registry.close() };
}

interface RawPool {
  execute(sql: string, values: string[]): Promise<[{ goto: string }[]]>;
  end(): Promise<void>;
}

/** mysql2 as its documentation has it. It belongs to the plugin alone, and is found from there. */
function openRaw(port: number): { ask: Ask; close(): Promise<void> } {
  const { createPool } = createRequire(import.meta.resolve("@postern/plugin-maps-mysql"))("mysql2/promise") as {
    readonly createPool: (options: object) => RawPool;
  };
  const pool = createPool({
    host: "127.0.0.1",
    port,
    user: login.user,
    password: login.password,
    database: login.dbname,
    connectionLimit: connections,
  });
  const sql = query.replace("'%s'", "?");
  return {
    ask: async (key) => (await pool.execute(sql, [key]))[0][0]?.goto,
    close: () => pool.end(),
  };
}

/** One process, one key after the other: that is how Postfix asks. */
async function askPostmap(folder: string, port: number, lookups: number): Promise<number | undefined> {
  const file = join(folder, "alias.cf");
  const parameters = { hosts: `127.0.0.1:${port}`, ...login, query };
  writeFileSync(
    file,
    Object.entries(parameters)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join(""),
  );
  // Postfix waits until a file is no longer hot.
  utimesSync(file, 1e9, 1e9);
  const keys = Array.from({ length: lookups }, (_, number) => keyOf(number + 1));
  return (await measurePostmap(folder, `mysql:${file}`, keys))?.perSecond;
}
