/** `redis:`: strings, hashes and sets of Redis as tables. Postfix has none; the parameters speak the language of its databases. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  ConfigError,
  readAnswerRules,
  readTableParameters,
  type AnswerRules,
  type DatabaseParameters,
  type LookupAsk,
  type LookupTable,
  type TableParameters,
  type TableScope,
} from "@postern/core";
import { answerText } from "./answer-text.ts";
import type { Opening, ReplyReader } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { parseEndpoints } from "./endpoint.ts";
import { ExchangeError, toUnavailable } from "./exchange-error.ts";
import { readPool } from "./pool-parameters.ts";
import { parseQuestion, type RedisQuestion } from "./redis-question.ts";
import { okReader, replyReader, writeCommand } from "./resp.ts";

const defaultPort = 6379;
const timeoutMs = 2000;
const longestReply = 1_000_000;
const fileForm = /^\.{0,2}\/|\.cf$/;

export async function openRedis(name: string, scope: TableScope, object: TableParameters): Promise<LookupTable> {
  const label = name === "" ? "redis" : `redis:${name}`;
  const isFile = fileForm.test(name);
  const isServer = name !== "" && !isFile;
  if (isServer && object["hosts"] !== undefined) {
    throw new ConfigError(`table ${label}: servers stand in the name or in "hosts", not in both`);
  }
  const { query, ...others } = object;
  const words = Array.isArray(query) ? query.map(String) : undefined;
  const keys = { ...(words === undefined ? object : others), ...(isServer ? { hosts: [name] } : {}) };
  const parameters = await readTableParameters("redis", isFile ? name : "", scope, keys);
  const question = parseQuestion(words ?? parameters.text("query", "%s"), label);
  const hosts = parameters.list("hosts");
  const endpoints = parseEndpoints(hosts.length === 0 ? ["localhost"] : hosts, {
    label,
    directory: scope.directory,
    defaultPort,
  });
  const password = parameters.text("password");
  const opening = { tls: await readTls(parameters, scope), greeting: readGreeting(parameters, password) };
  const longest = parameters.integer("max_reply_size", longestReply, { min: 16, max: 100 * longestReply });
  const pool = readPool(parameters, endpoints, scope.clock, { timeoutMs, opening });
  const rules = await readAnswerRules(parameters, scope);
  parameters.finish();
  // Without a password whoever reaches the port may write, and say where mail goes and under which user.
  return new RedisTable({ name, label, question, rules, pool, longest, trusted: password !== undefined });
}

/** Login and database, which belong to a connection. */
function readGreeting(parameters: DatabaseParameters, password: string | undefined): Opening["greeting"] {
  const username = parameters.text("username");
  const database = parameters.integer("database", 0, { min: 0 });
  const commands: string[][] = [];
  if (password !== undefined) commands.push(["AUTH", ...(username === undefined ? [] : [username]), password]);
  if (database > 0) commands.push(["SELECT", String(database)]);
  if (commands.length === 0) return undefined;
  return { request: Buffer.concat(commands.map(writeCommand)), read: okReader(commands.length) };
}

async function readTls(parameters: DatabaseParameters, scope: TableScope): Promise<Opening["tls"]> {
  const wanted = parameters.flag("tls", false);
  const rejectUnauthorized = parameters.flag("tls_verify_cert", true);
  const caFile = parameters.text("tls_ca_file");
  if (!wanted) return undefined;
  const ca = caFile === undefined ? undefined : await readCa(resolve(scope.directory, caFile), parameters);
  return { rejectUnauthorized, ...(ca === undefined ? {} : { ca }) };
}

async function readCa(path: string, parameters: DatabaseParameters): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw parameters.mistake("tls_ca_file", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

interface RedisTableOptions {
  readonly name: string;
  readonly label: string;
  readonly question: RedisQuestion;
  readonly rules: AnswerRules;
  readonly pool: ConnectionPool;
  /** Octets of a reply. */
  readonly longest: number;
  readonly trusted: boolean;
}

class RedisTable implements LookupTable {
  readonly type = "redis";
  readonly name: string;
  readonly kind = "indexed";
  readonly trusted: boolean;
  readonly #options: RedisTableOptions;

  constructor(options: RedisTableOptions) {
    this.name = options.name;
    this.trusted = options.trusted;
    this.#options = options;
  }

  async lookup(key: string, ask?: LookupAsk): Promise<string | undefined> {
    const { label, question, rules, pool } = this.#options;
    const command = key.isWellFormed() ? question.ask(key) : undefined;
    if (command === undefined) return undefined;
    // A promise only where `domain` holds a table.
    const asks = rules.asks(key);
    if (!(typeof asks === "boolean" ? asks : await asks)) return undefined;
    try {
      const reply = await pool.ask(writeCommand(command), this.#reader(command), ask?.signal);
      if (reply instanceof ExchangeError) throw reply;
      return rules.format(reply.map(answerText), key);
    } catch (error) {
      throw toUnavailable(label, error);
    }
  }

  close(): Promise<void> {
    this.#options.pool.close();
    return Promise.resolve();
  }

  /** The values, or an error for this key alone: any other one, and an answer that the command cannot have, ends the connection. */
  #reader(command: readonly string[]): ReplyReader<readonly Buffer[] | ExchangeError> {
    const { longest, question } = this.#options;
    const read = replyReader(longest);
    return (bytes, seen) => {
      const reply = read(bytes, seen);
      if (reply === undefined) return undefined;
      const { value, used } = reply;
      if (!(value instanceof ExchangeError)) return { value: question.values(value, command), used };
      if (!value.onlyThisKey) throw value;
      return { value, used };
    };
  }
}
