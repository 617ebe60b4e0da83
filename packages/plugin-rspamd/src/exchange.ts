/**
 * One HTTP exchange with rspamd, over Node's own client: the message streamed as it is read, the answer's JSON in memory and bounded, what stands
 * behind it (a new body) handed on piece by piece. Redirects are not followed: nobody but the operator says where mail is sent.
 */
import {
  request as requestHttp,
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import { request as requestHttps } from "node:https";
import { errorText, ScannerFailure, type Blob, type Clock } from "@postern/core";
import type { Endpoint } from "./address.ts";

/** Octets of JSON; rspamd's answers have a few thousand, and some tens of thousands with many symbols. */
const longestJson = 4 * 2 ** 20;

export interface Exchange {
  readonly endpoint: Endpoint;
  readonly agent: Agent;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** Without it the request is a GET. */
  readonly content: Pick<Blob, "sizeBytes" | "chunks" | "read"> | undefined;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Gets the octets behind the JSON (`Message-Offset`). Without it such an answer is a failure. */
  readonly onBody?: (piece: Buffer) => unknown;
}

export interface HttpAnswer {
  readonly status: number;
  /** What stands behind the status: rspamd says there why it did not do something. */
  readonly statusText: string;
  /** The JSON, or whatever else was said; without what went to `onBody`. */
  readonly octets: Buffer;
  /** There was something behind the JSON, and `onBody` has all of it. */
  readonly hasBody: boolean;
}

/** Throws `ScannerFailure`: `down` for a server that cannot be reached or breaks off, `timeout` when called off, `error` for what is no HTTP. */
export async function exchange(ask: Exchange): Promise<HttpAnswer> {
  try {
    return await once(ask);
  } catch (error) {
    // The server closed an idle connection just as it was used again: that says nothing about the server.
    if (!(error instanceof StaleConnection)) throw error;
    return once({ ...ask, headers: { ...ask.headers, Connection: "close" } });
  }
}

class StaleConnection extends ScannerFailure {}

/** No server refuses a message for this many octets. */
const certainlyTaken = 64 * 1024;

/** The server closed the connection without a word, having seen how large the message is. */
export class BrokenOff extends ScannerFailure {}

function once(ask: Exchange): Promise<HttpAnswer> {
  const { endpoint, signal, clock, content } = ask;
  if (signal.aborted) return Promise.reject(calledOff(signal));
  return new Promise((resolve, reject) => {
    let over = false;
    let sent = false;
    let answering = false;
    let connected = false;
    let wake: (() => void) | undefined;

    const end = (): void => {
      over = true;
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      wake?.();
    };
    const fail = (error: ScannerFailure): void => {
      if (over) return;
      end();
      request.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(calledOff(signal));
    const onLost = (error: NodeJS.ErrnoException): void => {
      if (error.code?.startsWith("HPE_") === true) return fail(failure("error", ask, `no HTTP (${error.code})`, error));
      const stale = request.reusedSocket && !answering && ["ECONNRESET", "EPIPE"].includes(error.code ?? "");
      if (stale) return fail(new StaleConnection("down", "the connection was closed", { cause: error }));
      const lost = failure("down", ask, `cannot be asked: ${errorText(error)}`, error);
      const large = (content?.sizeBytes ?? 0) > certainlyTaken;
      fail(connected && large ? new BrokenOff("down", lost.message, { cause: error }) : lost);
    };

    const request = openRequest(ask);
    // Until there is a connection; a wait for a free one is the deadline's.
    let timer = { cancel: (): void => undefined };
    request.on("socket", (socket) => {
      if (over) return;
      if (!socket.connecting) {
        connected = true;
        return;
      }
      timer = clock.setTimer(
        () => fail(failure("down", ask, `no connection within ${ask.connectTimeoutMs} ms`)),
        ask.connectTimeoutMs,
      );
      socket.once(endpoint.tls ? "secureConnect" : "connect", () => {
        connected = true;
        timer.cancel();
      });
    });
    request.on("error", onLost);
    request.on("drain", () => wake?.());
    request.on("response", (response) => {
      answering = true;
      readAnswer(response, ask).then(
        (answer) => {
          if (over) return;
          if (!sent && answer.status < 400) {
            fail(failure("error", ask, "answered before it had the whole message"));
          } else {
            end();
            if (!sent) request.destroy();
            resolve(answer);
          }
        },
        (error: unknown) => fail(error instanceof ScannerFailure ? error : failure("error", ask, String(error), error)),
      );
    });
    signal.addEventListener("abort", onAbort, { once: true });

    const send = async (): Promise<void> => {
      let sentBytes = 0;
      for await (const piece of content?.chunks ?? content?.read() ?? []) {
        if (over) return;
        sentBytes += piece.length;
        if (!request.write(piece) && !request.destroyed) {
          await new Promise<void>((resume) => (wake = resume));
          wake = undefined;
        }
      }
      if (over) return;
      if (content !== undefined && sentBytes !== content.sizeBytes) {
        throw new Error(`the message has ${sentBytes} octets of ${content.sizeBytes}`);
      }
      sent = true;
      request.end();
    };
    send().catch((error: unknown) =>
      fail(failure("error", ask, `the message cannot be read: ${String(error)}`, error)),
    );
  });
}

function openRequest({ endpoint, agent, path, headers, content }: Exchange): ClientRequest {
  const open = endpoint.tls ? requestHttps : requestHttp;
  return open({
    ...endpoint.target,
    agent,
    path: `${endpoint.base}${path}`,
    ...(content === undefined
      ? { headers }
      : {
          method: "POST",
          headers: { ...headers, "Content-Length": content.sizeBytes, "Content-Type": "message/rfc822" },
        }),
  });
}

async function readAnswer(response: IncomingMessage, ask: Exchange): Promise<HttpAnswer> {
  const { statusCode: status = 0, statusMessage: statusText = "" } = response;
  const offset = offsetOf(response, ask);
  const pieces: Buffer[] = [];
  let seen = 0;
  let bodyBytes = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      const json = piece.subarray(0, Math.max(0, offset - seen));
      seen += piece.length;
      if (json.length > 0) pieces.push(json);
      if (Math.min(seen, offset) > longestJson)
        throw failure("error", ask, `its answer has more than ${longestJson} octets`);
      if (json.length === piece.length) continue;
      bodyBytes += piece.length - json.length;
      await ask.onBody?.(piece.subarray(json.length));
    }
  } catch (error) {
    if (error instanceof ScannerFailure) throw error;
    throw failure("down", ask, `broke off its answer: ${String(error)}`, error);
  }
  if (offset !== Infinity && bodyBytes === 0)
    throw failure("error", ask, "its answer ends before the body it announces");
  return { status, statusText, octets: Buffer.concat(pieces), hasBody: bodyBytes > 0 };
}

function offsetOf({ statusCode, headers }: IncomingMessage, ask: Exchange): number {
  const given = headers["message-offset"];
  if (given === undefined || statusCode !== 200) return Infinity;
  if (ask.onBody === undefined || typeof given !== "string" || !/^\d{1,9}$/.test(given)) {
    throw failure("error", ask, `Message-Offset is ${JSON.stringify(given)}`);
  }
  return Number(given);
}

function calledOff({ reason }: AbortSignal): ScannerFailure {
  return new ScannerFailure("timeout", "called off", { cause: reason });
}

export function failure(
  reason: ScannerFailure["reason"],
  { endpoint }: Pick<Exchange, "endpoint">,
  text: string,
  cause?: unknown,
): ScannerFailure {
  return new ScannerFailure(reason, `rspamd at ${endpoint.label}: ${text}`, { cause });
}
