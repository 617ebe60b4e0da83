/** One rspamd at several addresses: who is asked, over which connections. */
import { Agent as HttpAgent, type OutgoingHttpHeaders } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Blob, Clock } from "@postern/core";
import type { Endpoint } from "./address.ts";
import { exchange, failure, type HttpAnswer } from "./exchange.ts";
import { createServers } from "./servers.ts";

export interface ClientOptions {
  readonly endpoints: readonly Endpoint[];
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** PEM; `undefined`: the system's authorities. */
  readonly ca: Buffer | undefined;
  readonly clock: Clock;
}

/** Behind the JSON there may be a new body. `onStart` comes before each server's. */
export interface BodySink {
  readonly onStart: () => void;
  readonly onBody: (piece: Buffer) => unknown;
}

export interface Client {
  post(
    path: string,
    headers: OutgoingHttpHeaders,
    content: Blob,
    signal: AbortSignal,
    sink?: BodySink,
  ): Promise<HttpAnswer>;
  close(): void;
}

/** Idle connections, where a server keeps them at all. */
const mostIdle = 8;
/** Statuses of a proxy whose rspamd cannot be reached, or of a server that is about to go. */
const downStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

export function createClient({ endpoints, connections, connectTimeoutMs, ca, clock }: ClientOptions): Client {
  const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: Math.min(connections, mostIdle) };
  const servers = endpoints.map((endpoint) => ({
    endpoint,
    agent: endpoint.tls ? new HttpsAgent(ca === undefined ? pool : { ...pool, ca }) : new HttpAgent(pool),
  }));
  const inTurn = createServers(servers, clock);
  return {
    post: (path, headers, content, signal, sink) =>
      inTurn.ask(async ({ endpoint, agent }) => {
        sink?.onStart();
        const answer = await exchange({
          endpoint,
          agent,
          path,
          headers,
          content,
          connectTimeoutMs,
          clock,
          signal,
          ...(sink === undefined ? {} : { onBody: sink.onBody }),
        });
        if (downStatuses.has(answer.status)) throw failure("down", { endpoint }, `status ${answer.status}`);
        return answer;
      }),
    close: () => {
      for (const { agent } of servers) agent.destroy();
    },
  };
}
