/** A table of one SQL query. Read by whoever may read the config; the values are the database's, trusted as Postfix trusts them. */
import {
  isPromise,
  parseTemplate,
  readAnswerRules,
  readSqlQuery,
  readTableParameters,
  TableUnavailable,
  type Shared,
  type Taken,
  type AnswerRules,
  type LookupAsk,
  type LookupTable,
  type MaybePromise,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { openDriver, type DriverFields } from "./driver.ts";
import { Pool } from "./pool.ts";
import { Query } from "./query.ts";
import { readValues } from "./result.ts";
import { readServerSettings } from "./server.ts";

/** Characters of a key; the server's `max_allowed_packet` would end the connection of all who share it. */
const longestKey = 100_000;

/** Opens no connection; a server that is down is no mistake of the config. Throws `ConfigError`. */
export async function openMysqlTable(
  name: string,
  scope: TableScope,
  object: TableParameters,
  pools: Shared<Pool>,
): Promise<LookupTable> {
  const parameters = await readTableParameters("mysql", name, scope, object);
  const { label } = parameters;
  const query = new Query(parseTemplate(readSqlQuery(parameters), label), label);
  const settings = readServerSettings(parameters, scope.directory);
  const resultSetRequired = parameters.flag("require_result_set", true);
  const rules = await readAnswerRules(parameters, scope);
  parameters.finish();
  const pool = pools.take(settings, () => new Pool(settings, scope.clock, openDriver));
  return new MysqlTable(name, label, query, rules, resultSetRequired, pool);
}

class MysqlTable implements LookupTable {
  readonly type = "mysql";
  readonly kind = "indexed";
  readonly trusted = true;
  readonly name: string;
  readonly #label: string;
  readonly #query: Query;
  readonly #rules: AnswerRules;
  readonly #resultSetRequired: boolean;
  readonly #pool: Taken<Pool>;
  #closed = false;

  constructor(
    name: string,
    label: string,
    query: Query,
    rules: AnswerRules,
    resultSetRequired: boolean,
    pool: Taken<Pool>,
  ) {
    this.name = name;
    this.#label = label;
    this.#query = query;
    this.#rules = rules;
    this.#resultSetRequired = resultSetRequired;
    this.#pool = pool;
  }

  lookup(key: string, ask?: LookupAsk): MaybePromise<string | undefined> {
    if (this.#closed) throw new TableUnavailable(this.#label, "closed");
    const asks = this.#rules.asks(key);
    if (isPromise(asks)) return asks.then((yes) => (yes ? this.#ask(key, ask) : undefined));
    return asks ? this.#ask(key, ask) : undefined;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.release();
  }

  #ask(key: string, ask: LookupAsk | undefined): MaybePromise<string | undefined> {
    const values = this.#query.usual.values(key);
    if (values === undefined) return undefined;
    if (key.length > longestKey) throw new TableUnavailable(this.#label, "the key is too long", { onlyThisKey: true });
    return new Promise((resolve, reject) => {
      this.#pool.value.ask({
        query: this.#query,
        key,
        values,
        label: this.#label,
        signal: ask?.signal,
        answered: (result, fields) => {
          try {
            resolve(this.#read(key, result, fields));
          } catch (error) {
            reject(error);
          }
        },
        failed: reject,
      });
    });
  }

  #read(key: string, result: unknown, fields: DriverFields): string | undefined {
    let values: string[];
    try {
      values = readValues(result, fields, this.#resultSetRequired);
    } catch (error) {
      throw new TableUnavailable(this.#label, (error as Error).message, { onlyThisKey: true });
    }
    return this.#rules.format(values, key);
  }
}
