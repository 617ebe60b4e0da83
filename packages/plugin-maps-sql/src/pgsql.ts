/** `pgsql:file`: pgsql_table(5). */
import {
  ConfigError,
  readAnswerRules,
  readSqlQuery,
  readTableParameters,
  type Shared,
  type DatabaseParameters,
  type LookupTable,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { isSslMode, parseHost, readTls, sslModes, type Login, type PostgresHost } from "./postgres-host.ts";
import { PostgresCluster, undeterminedType } from "./postgres-cluster.ts";
import { PostgresServer, sqlStateOf } from "./postgres-server.ts";
import { parseSqlTemplate } from "./sql-template.ts";
import { createSqlTable } from "./sql-table.ts";

export async function openPgsql(
  name: string,
  scope: TableScope,
  object: TableParameters,
  clusters: Shared<PostgresCluster>,
): Promise<LookupTable> {
  const parameters = await readTableParameters("pgsql", name, scope, object);
  const { label } = parameters;
  const query = new PostgresQuery(readQuery(parameters), label);
  const rules = await readAnswerRules(parameters, scope);
  const { settings, open } = readCluster(parameters, scope);
  parameters.finish();
  const cluster = clusters.take(settings, open);
  return createSqlTable({
    type: "pgsql",
    name,
    label,
    rules,
    values: (key) => query.values(key),
    ask: async (values) => {
      const found = await query.ask((sql) => cluster.value.query(label, sql, values));
      return found.map((value) => value ?? "");
    },
    close: () => cluster.release(),
  });
}

function readQuery(parameters: DatabaseParameters): string {
  const procedure = parameters.text("select_function");
  if (procedure !== undefined && parameters.text("query") === undefined) {
    for (const older of ["select_field", "table", "where_field", "additional_conditions"]) parameters.isEmpty(older);
    return `SELECT ${procedure}('%s')`;
  }
  return readSqlQuery(parameters);
}

/** The statement. PostgreSQL finds the type of a parameter by what stands round it, as it does for a quoted string; where it cannot, a string is text. */
class PostgresQuery {
  readonly #text: string;
  readonly #label: string;
  readonly #casts = new Set<number>();
  #template;

  constructor(text: string, label: string) {
    this.#text = text;
    this.#label = label;
    this.#template = this.#parse();
  }

  values(key: string): string[] | undefined {
    return this.#template.values(key);
  }

  async ask<Rows>(send: (sql: string) => Promise<Rows>): Promise<Rows> {
    for (;;) {
      const { sql } = this.#template;
      try {
        return await send(sql);
      } catch (error) {
        const number = sqlStateOf(error) === undeterminedType ? numberOf(error) : undefined;
        if (number === undefined || sql.includes(castOf(number))) throw error;
        this.#casts.add(number);
        this.#template = this.#parse();
      }
    }
  }

  #parse() {
    const placeholder = (number: number) => (this.#casts.has(number) ? castOf(number) : `$${number}`);
    return parseSqlTemplate(
      this.#text,
      { placeholder, doubleQuotedStrings: false, postgresStrings: true },
      this.#label,
    );
  }
}

function castOf(number: number): string {
  return `$${number}::text`;
}

function numberOf(error: unknown): number | undefined {
  const [, digits] = /parameter \$(\d+)/.exec(error instanceof Error ? error.message : "") ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function readCluster(
  parameters: DatabaseParameters,
  scope: TableScope,
): { settings: unknown; open: () => PostgresCluster } {
  const sslmode = parameters.text("sslmode", "disable");
  if (!isSslMode(sslmode)) throw parameters.mistake("sslmode", `it is one of ${sslModes.join(", ")}`);
  const login: Login = {
    user: parameters.text("user"),
    password: parameters.text("password"),
    database: parameters.text("dbname"),
    ssl: {
      sslmode,
      sslrootcert: parameters.text("sslrootcert"),
      sslcert: parameters.text("sslcert"),
      sslkey: parameters.text("sslkey"),
    },
  };
  const encoding = parameters.text("encoding", "UTF8");
  if (!/^(?:utf-?8|unicode|sql_ascii)$/i.test(encoding)) {
    scope.warn(
      `table ${parameters.label}: encoding ${encoding} is not used; keys and values are UTF-8, the server converts`,
    );
  }
  const words = parameters.list("hosts");
  const hosts = (words.length === 0 ? ["localhost"] : words).map((word) => readHost(word, login, parameters));
  if (hosts.some((host) => host.login.database === undefined)) parameters.required("dbname");
  const limits = {
    connections: parameters.integer("connections", 10, { min: 1, max: 1000 }),
    idleMs: parameters.milliseconds("idle_interval", 60_000),
    timeoutMs: parameters.milliseconds("timeout", 3000),
  };
  if (limits.timeoutMs === 0) throw parameters.mistake("timeout", "it may not be 0");
  const retryMs = parameters.milliseconds("retry_interval", 60_000);
  const members = hosts.map((host) => ({ host, connection: connectionOf(host, parameters, scope.directory) }));
  const { clock } = scope;
  return {
    settings: [hosts, limits, retryMs, scope.directory],
    open: () =>
      new PostgresCluster(
        members.map(({ host, connection }) => ({ host, server: new PostgresServer({ connection, ...limits }, clock) })),
        { retryMs, clock, random: Math.random },
      ),
  };
}

function readHost(word: string, login: Login, parameters: DatabaseParameters): PostgresHost {
  try {
    return parseHost(word, login);
  } catch (error) {
    throw parameters.mistake("hosts", error instanceof Error ? error.message : "not understood");
  }
}

function connectionOf(
  { host, port, unix, login }: PostgresHost,
  parameters: DatabaseParameters,
  directory: string,
): Readonly<Record<string, unknown>> {
  const { user, password, database, ssl } = login;
  try {
    return {
      host,
      port,
      user,
      password,
      database,
      // PostgreSQL speaks no TLS on unix sockets.
      ssl: unix ? false : readTls(ssl, directory),
    };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new ConfigError(`table ${parameters.label}: a TLS file cannot be read (${code})`, { cause: error });
  }
}
