/** What all tables over a connection pool can be told: how long, how many. */
import type { Clock, DatabaseParameters } from "@postern/core";
import { ConnectionPool, type PoolOptions } from "./connection-pool.ts";
import type { Endpoint } from "./endpoint.ts";

/** Under the gateway's own deadline for a lookup, so that it is we who give up, and know which connection to close. */
const timeoutMs = 5000;
const connections = 8;
const waiting = 1000;
/** Postfix's for socketmap. */
const idleMs = 10_000;
const lifetimeMs = 100_000;

export function readPool(
  parameters: DatabaseParameters,
  endpoints: readonly Endpoint[],
  clock: Clock,
  defaults: Partial<Pick<PoolOptions, "timeoutMs" | "opening">> = {},
): ConnectionPool {
  const options: PoolOptions = {
    endpoints,
    clock,
    timeoutMs: parameters.milliseconds("timeout", defaults.timeoutMs ?? timeoutMs),
    connections: parameters.integer("connections", connections, { min: 1, max: 1000 }),
    waiting: parameters.integer("max_waiting", waiting, { min: 0, max: 100_000 }),
    idleMs: parameters.milliseconds("max_idle", idleMs),
    lifetimeMs: parameters.milliseconds("max_ttl", lifetimeMs),
    opening: defaults.opening,
  };
  if (options.timeoutMs === 0) throw parameters.mistake("timeout", "it must be longer than nothing");
  return new ConnectionPool(options);
}
