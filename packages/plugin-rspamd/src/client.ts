/** One rspamd at several addresses: who is asked, over which connections. */
import { Agent as HttpAgent, type OutgoingHttpHeaders } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { EngineServers, type Blob, type Clock } from "@postern/core";
import type { Endpoint } from "./address.ts";
import { BrokenOff, exchange, failure, type Exchange, type HttpAnswer } from "./exchange.ts";

export interface ClientOptions {
  readonly endpoints: readonly Endpoint[];
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** PEM; `undefined`: the system's authorities. */
  readonly ca: Buffer | undefined;
  readonly clock: Clock;
  /** Told of an address in whose place the next one is asked. */
  readonly failed: (point: string, error: unknown) => void;
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

export function createClient({ endpoints, connections, connectTimeoutMs, ca, clock, failed }: ClientOptions): Client {
  const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: Math.min(connections, mostIdle) };
  const servers = endpoints.map((endpoint) => ({
    endpoint,
    agent: endpoint.tls ? new HttpsAgent(ca === undefined ? pool : { ...pool, ca }) : new HttpAgent(pool),
  }));
  const inTurn = new EngineServers(servers, {
    clock,
    passedOver: ({ endpoint }, failure) => failed(endpoint.label, failure),
  });
  return {
    post: (path, headers, content, signal, sink) =>
      inTurn.ask(signal, async ({ endpoint, agent }) => {
        sink?.onStart();
        const asked: Exchange = {
          endpoint,
          agent,
          path,
          headers,
          content,
          connectTimeoutMs,
          clock,
          signal,
          ...(sink === undefined ? {} : { onBody: sink.onBody }),
        };
        const answer = await exchange(asked).catch((error: unknown) => explain(error, asked));
        if (downStatuses.has(answer.status)) throw failure("down", { endpoint }, `status ${answer.status}`);
        return answer;
      }),
    close: () => {
      for (const { agent } of servers) agent.destroy();
    },
  };
}

/**
 * rspamd closes the connection, without a word, on a message above its `max_message`. When it is alive and well all the same, the message is why: else one large
 * message would look like a dead server, for the messages of others, too.
 */
async function explain(error: unknown, asked: Exchange): Promise<never> {
  if (!(error instanceof BrokenOff)) throw error;
  const { onBody: _, ...rest } = asked;
  const { status } = await exchange({ ...rest, path: "/ping", headers: {}, content: undefined });
  if (status !== 200) throw error;
  const text = `broke off within a message of ${asked.content?.sizeBytes ?? 0} octets and is alive: is that above its max_message?`;
  throw failure("tooLarge", asked, text, error);
}
