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
import { parseEndpoints } from "./endpoint.ts";
import { toUnavailable } from "./exchange-error.ts";
import type { RedisLogin } from "./redis-link.ts";
import { parseQuestion, type RedisQuestion } from "./redis-question.ts";
import { RedisServers } from "./redis-servers.ts";

const defaultPort = 6379;
const timeoutMs = 2000;
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
  const login = await readLogin(parameters, scope);
  const servers = new RedisServers({
    endpoints: parseEndpoints(hosts.length === 0 ? ["localhost"] : hosts, {
      label,
      directory: scope.directory,
      defaultPort,
    }),
    login,
    clock: scope.clock,
    timeoutMs: parameters.milliseconds("timeout", timeoutMs) || timeoutMs,
    waiting: parameters.integer("max_waiting", 10_000, { min: 1, max: 1_000_000 }),
  });
  const rules = await readAnswerRules(parameters, scope);
  parameters.finish();
  // Without a password whoever reaches the port may write, and say where mail goes and under which user.
  return new RedisTable({ name, label, question, rules, servers, trusted: login.password !== undefined });
}

async function readLogin(parameters: DatabaseParameters, scope: TableScope): Promise<RedisLogin> {
  const login = {
    database: parameters.integer("database", 0, { min: 0 }),
    username: parameters.text("username"),
    password: parameters.text("password"),
  };
  const wanted = parameters.flag("tls", false);
  const rejectUnauthorized = parameters.flag("tls_verify_cert", true);
  const caFile = parameters.text("tls_ca_file");
  if (!wanted) return { ...login, tls: undefined };
  const ca = caFile === undefined ? undefined : await readCa(resolve(scope.directory, caFile), parameters);
  return { ...login, tls: { rejectUnauthorized, ...(ca === undefined ? {} : { ca }) } };
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
  readonly servers: RedisServers;
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
    const { label, question, rules, servers } = this.#options;
    const command = key.isWellFormed() ? question.ask(key) : undefined;
    if (command === undefined) return undefined;
    // A promise only where `domain` holds a table.
    const asks = rules.asks(key);
    if (!(typeof asks === "boolean" ? asks : await asks)) return undefined;
    try {
      const values = await servers.ask(command, (reply) => question.values(reply, command), ask?.signal);
      return rules.format(values.map(answerText), key);
    } catch (error) {
      throw toUnavailable(label, error);
    }
  }

  close(): Promise<void> {
    this.#options.servers.close();
    return Promise.resolve();
  }
}
