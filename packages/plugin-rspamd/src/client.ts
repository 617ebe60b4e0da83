/** One rspamd at several addresses: who is asked, over which connections. */
import { once } from "node:events";
import { Agent as HttpAgent, type AgentOptions, type OutgoingHttpHeaders } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { EngineServers, type Blob, type Clock, type EngineServer } from "@postern/core";
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
  /** Of the servers, in the config's order: is each there? */
  readonly servers: readonly EngineServer[];
  close(): void;
}

/** Idle connections, where a server keeps them at all. */
const mostIdle = 8;
/** Statuses of a proxy whose rspamd cannot be reached, or of a server that is about to go. */
const downStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

export function createClient({ endpoints, connections, connectTimeoutMs, ca, clock, failed }: ClientOptions): Client {
  const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: Math.min(connections, mostIdle) };
  const openAgent = ({ tls }: Endpoint, options: AgentOptions): HttpAgent =>
    tls ? new HttpsAgent(ca === undefined ? options : { ...options, ca }) : new HttpAgent(options);
  const servers = endpoints.map((endpoint) => ({ endpoint, agent: openAgent(endpoint, pool) }));
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
    servers: endpoints.map((endpoint) => ({
      label: `rspamd at ${endpoint.label}`,
      async reach(signal) {
        // On a connection of its own: a server that hangs keeps none from a message.
        const agent = openAgent(endpoint, {});
        const asked = { endpoint, agent, path: "/ping", headers: {}, content: undefined };
        const { status } = await exchange({ ...asked, connectTimeoutMs, clock, signal });
        if (status !== 200) throw failure("down", { endpoint }, `status ${status} for /ping`);
      },
    })),
    close: () => {
      for (const { agent } of servers) agent.destroy();
    },
  };
}

/**
 * rspamd closes the connection, without a word, on a message above its `max_message`, having read no more than how long it is. When it does so again and is
 * alive and well, the message is why: else one large message would look like a dead server, for the messages of others, too. A worker that died over a
 * message, or was started anew, is no such server.
 */
async function explain(error: unknown, asked: Exchange): Promise<never> {
  if (!(error instanceof BrokenOff) || !(await refusesLength(asked)) || !(await answersPing(asked))) throw error;
  const text = `broke off at the length of a message of ${asked.content?.sizeBytes ?? 0} octets and is alive: is that above its max_message?`;
  throw failure("tooLarge", asked, text, error);
}

async function answersPing(asked: Exchange): Promise<boolean> {
  const { onBody: _, ...rest } = asked;
  const { status } = await exchange({ ...rest, path: "/ping", headers: {}, content: undefined });
  return status === 200;
}

/** For a server to close on a length that it does not take. */
const refusalMs = 500;

/** The same request with hardly any of its content: is it broken off, too? */
async function refusesLength(asked: Exchange): Promise<boolean> {
  const { onBody: _, content, ...rest } = asked;
  const { clock, signal } = rest;
  const patience = new AbortController();
  const timer = clock.setTimer(() => patience.abort(), refusalMs);
  try {
    const { status } = await exchange({
      ...rest,
      content: content && beginningOf(content, patience.signal),
      signal: AbortSignal.any([signal, patience.signal]),
    });
    return status === 413;
  } catch (again) {
    return again instanceof BrokenOff;
  } finally {
    timer.cancel();
    patience.abort();
  }
}

/** As long as `content`, and its first octet; the rest does not come before `signal` is aborted. */
function beginningOf(content: NonNullable<Exchange["content"]>, signal: AbortSignal): Exchange["content"] {
  return {
    sizeBytes: content.sizeBytes,
    chunks: undefined,
    async *read() {
      yield* content.read(0, 1);
      if (!signal.aborted) await once(signal, "abort");
    },
  };
}
