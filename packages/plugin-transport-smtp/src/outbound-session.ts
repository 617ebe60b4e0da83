/**
 * A session with a peer, up to where mail can be sent: TCP connection, greeting, EHLO or HELO, STARTTLS. The
 * handshake is nodemailer's; then the socket is taken from it.
 */
import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "@postern/core";
import { Conversation } from "./conversation.ts";
import { createDeadline } from "./deadline.ts";
import type { Handshake } from "./handshake.ts";
import type { Timeouts } from "./options.ts";
import { createReplyReader, type ServerReply } from "./server-reply.ts";

export interface Endpoint {
  /** Host name, or the address again where there is none. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface OutboundSession {
  /** `mx1.example.test[192.0.2.1]:25`. */
  readonly remote: string;
  readonly endpoint: Endpoint;
  /** EHLO keywords in upper case with their parameters; none after HELO. */
  readonly extensions: ReadonlyMap<string, string>;
  /** Protocol and cipher. */
  readonly tls: string | undefined;
  readonly conversation: Conversation;
  /** Milliseconds, monotonic. */
  readonly openedAt: number;
}

export type HandshakePhase = "connect" | "greeting" | "helo" | "tls";

/** The peer was not reached, or did not let us in. */
export class HandshakeFailed extends Error {
  readonly phase: HandshakePhase;
  /** Its words, when it said no. */
  readonly reply: ServerReply | undefined;

  constructor(phase: HandshakePhase, message: string, reply?: ServerReply) {
    super(message);
    this.name = "HandshakeFailed";
    this.phase = phase;
    this.reply = reply;
  }
}

export interface HandshakeOptions {
  readonly helo: string;
  /** Takes STARTTLS where it is offered, whatever the certificate. */
  readonly tls: boolean;
  readonly localAddress: string | undefined;
  readonly timeouts: Timeouts;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const longestReply = 65_536;
/** The library's own timers are put out of the way: ours run by the injected clock. */
const never = 2 ** 31 - 1;

/** Rejects with `HandshakeFailed`. A TLS handshake that fails is phase "tls"; trying again in clear is the caller's to decide. */
export async function openSession(endpoint: Endpoint, options: HandshakeOptions): Promise<OutboundSession> {
  const { Handshake: Library } = await import("./handshake.ts");
  const socket = await openSocket(endpoint, options);
  return new Promise((resolve, reject) => {
    const { clock, timeouts, signal } = options;
    let phase: HandshakePhase = "greeting";
    const handshake = new Library({
      connection: socket,
      host: endpoint.name,
      name: options.helo,
      ignoreTLS: !options.tls,
      opportunisticTLS: true,
      tls: { rejectUnauthorized: false },
      logger: false,
      maxResponseSize: longestReply,
      greetingTimeout: never,
      connectionTimeout: never,
      socketTimeout: never,
      // A handshake that failed has nothing to say goodbye to.
      socketCloseTimeout: 0,
    });
    const deadline = createDeadline(clock, () => fail("the peer took too long"));
    const abort = (): void => fail("the delivery was aborted");
    let open = true;
    const end = (): void => {
      open = false;
      deadline.stop();
      signal.removeEventListener("abort", abort);
    };
    const fail = (message: string, response?: string): void => {
      if (!open) return;
      end();
      handshake.close();
      socket.destroy();
      reject(new HandshakeFailed(phase, message, parseResponse(response)));
    };
    const onPhase: typeof handshake.onPhase = (next, verb) => {
      // The EHLO inside TLS still belongs to it: a peer that offers TLS and then breaks is tried again in clear.
      if (phase !== "tls" || verb === "STAR") phase = next;
      deadline.set(next === "tls" ? timeouts.starttls : timeouts.helo);
    };
    handshake.onPhase = onPhase;
    handshake.on("error", (error) => fail(error.message, error.response));
    handshake.on("end", () => fail("the peer closed the connection"));
    signal.addEventListener("abort", abort, { once: true });
    deadline.set(timeouts.greeting);
    handshake.connect((error) => {
      if (error !== undefined && error !== null) return fail(error.message);
      if (!open) return;
      if (handshake._remainder !== "" || handshake._responseQueue.length > 0) return fail("the peer talks unasked");
      end();
      resolve(takeOver(handshake, endpoint, options));
    });
  });
}

function openSocket({ address, port }: Endpoint, options: HandshakeOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { clock, timeouts, localAddress, signal } = options;
    if (signal.aborted) return reject(new HandshakeFailed("connect", "the delivery was aborted"));
    const socket = connect({
      host: address,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", abort);
    };
    const fail = (message: string): void => {
      end();
      socket.destroy();
      reject(new HandshakeFailed("connect", message));
    };
    const abort = (): void => fail("the delivery was aborted");
    const timer = clock.setTimer(() => fail("Connection timed out"), timeouts.connect);
    signal.addEventListener("abort", abort, { once: true });
    socket.on("error", (error: NodeJS.ErrnoException) => fail(connectTexts[error.code ?? ""] ?? error.message));
    socket.once("connect", () => {
      end();
      socket.removeAllListeners("error");
      // Between two owners, and under TLS, an error must not go without a listener.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

const connectTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ETIMEDOUT: "Connection timed out",
  EADDRNOTAVAIL: "Cannot assign requested address",
};

function takeOver(handshake: Handshake, endpoint: Endpoint, { clock }: HandshakeOptions): OutboundSession {
  const socket = handshake._socket;
  socket.removeListener("data", handshake._onSocketData);
  socket.removeListener("error", handshake._onSocketError);
  socket.removeListener("close", handshake._onSocketClose);
  socket.removeListener("end", handshake._onSocketEnd);
  socket.removeListener("timeout", handshake._onSocketTimeout);
  socket.setTimeout(0);
  return {
    remote: formatRemote(endpoint),
    endpoint,
    extensions: parseExtensions(handshake._ehloLines ?? []),
    tls: handshake.secure ? describeTls(socket as TLSSocket) : undefined,
    conversation: new Conversation(socket, clock),
    openedAt: clock.monotonic(),
  };
}

export function formatRemote({ name, address, port }: Endpoint): string {
  return `${name}[${address}]:${port}`;
}

function describeTls(socket: TLSSocket): string {
  return `${socket.getProtocol() ?? "TLS"} ${socket.getCipher().name}`;
}

/** Lines of the EHLO reply after its first. */
function parseExtensions(lines: readonly string[]): ReadonlyMap<string, string> {
  const extensions = new Map<string, string>();
  for (const line of lines.slice(0, 100)) {
    const [keyword = "", ...parameters] = line.split(" ");
    extensions.set(keyword.toUpperCase(), parameters.join(" "));
  }
  return extensions;
}

function parseResponse(response: string | undefined): ServerReply | undefined {
  if (typeof response !== "string") return undefined;
  let parsed: ServerReply | undefined;
  createReplyReader().feed(Buffer.from(`${response}\n`), (reply) => (parsed = reply));
  return parsed;
}
