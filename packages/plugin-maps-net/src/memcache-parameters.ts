/** The parameters of memcache_table(5), with Postfix's defaults. */
import {
  parseTemplate,
  readAnswerRules,
  readTableParameters,
  type AnswerRules,
  type LookupTable,
  type TableParameters,
  type TableScope,
  type TableSpec,
  type Template,
} from "@postern/core";
import type { ConnectionPool } from "./connection-pool.ts";
import { parseEndpoints } from "./endpoint.ts";
import type { MemcachedLimits } from "./memcached.ts";
import { readPool } from "./pool-parameters.ts";

export interface MemcacheParameters {
  /** "memcache:./cache.cf". */
  readonly label: string;
  readonly pool: ConnectionPool;
  /** The persistent table that is asked for what memcached does not have. */
  readonly backup: LookupTable | undefined;
  readonly keyFormat: Template;
  readonly rules: Pick<AnswerRules, "asks">;
  readonly flags: number;
  readonly ttlSeconds: number;
  readonly limits: MemcachedLimits;
  readonly maxTry: number;
  readonly retryPauseMs: number;
}

const defaultPort = 11_211;
const timeoutMs = 2000;

export async function readMemcacheParameters(
  name: string,
  scope: TableScope,
  object: TableParameters,
): Promise<MemcacheParameters> {
  // In an object the backup may be a table with parameters of its own.
  const { backup: inner, ...rest } = object;
  const nested = typeof inner === "object" && inner !== null ? (inner as TableSpec) : undefined;
  const parameters = await readTableParameters("memcache", name, scope, nested === undefined ? object : rest);
  const { label } = parameters;
  const servers = parameters.list("memcache");
  const endpoints = parseEndpoints(servers.length === 0 ? ["inet:localhost:11211"] : servers, {
    label,
    directory: scope.directory,
    defaultPort,
  });
  const backup = nested ?? parameters.text("backup");
  const keyFormat = parseTemplate(parameters.text("key_format", "%s"), label);
  const settings = {
    flags: parameters.integer("flags", 0, { min: 0 }),
    ttlSeconds: parameters.integer("ttl", 3600, { min: 0 }),
    limits: {
      dataBytes: parameters.integer("data_size_limit", 10_240, { min: 1 }),
      lineBytes: parameters.integer("line_size_limit", 1024, { min: 1 }),
    },
    maxTry: parameters.integer("max_try", 2, { min: 1 }),
    retryPauseMs: parameters.milliseconds("retry_pause", 1000),
  };
  const pool = readPool(parameters, endpoints, scope.clock, { timeoutMs });
  const rules = await readRules(parameters, scope);
  parameters.finish();
  return {
    label,
    pool,
    backup: backup === undefined ? undefined : await scope.open(backup),
    keyFormat,
    rules,
    ...settings,
  };
}

/** `domain` alone: what memcached has is the answer as it is. */
async function readRules(
  parameters: Parameters<typeof readAnswerRules>[0],
  scope: TableScope,
): Promise<Pick<AnswerRules, "asks">> {
  const others = new Set(["result_format", "expansion_limit"]);
  return readAnswerRules(
    {
      ...parameters,
      isEmpty: (key) => !others.has(key) && parameters.isEmpty(key),
      text: ((key: string, fallback?: string) =>
        others.has(key) ? fallback : parameters.text(key, fallback as string)) as typeof parameters.text,
      integer: (key, fallback, range) => (others.has(key) ? fallback : parameters.integer(key, fallback, range)),
    },
    scope,
  );
}
