/** smtp-server's listener with our connections, our PROXY header, no certificate of its own, and a census of clients. */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from "smtp-server";
import type { SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";
import { formatIp, parseIp, type NetworkList } from "../address/index.ts";
import { isPromise, reply, formatReply, TransientMap, type MaybePromise } from "../model/index.ts";
import type { Census, CensusRefusal } from "./census.ts";
import { PosternConnection } from "./connection.ts";
import type { Place } from "./place.ts";
import type { SessionGeneration, SmtpHost, SmtpSettings } from "./front.ts";
import { isKnownAtOnce } from "./own-clients.ts";
import { readProxyHeader } from "./proxy-reader.ts";

const turnedAway: Readonly<Record<CensusRefusal, string>> = {
  total: formatReply(reply(421, "4.3.2", "Too many connections, try again later")),
  client: formatReply(reply(421, "4.7.0", "Too many connections from this client")),
  rate: formatReply(reply(421, "4.7.0", "Too many connections from this client in a minute")),
};

const noGeneration = reply(421, "4.3.0", "Temporary failure, try again later");

export interface ServerParts {
  readonly host: SmtpHost;
  readonly place: Place;
  readonly proxy: NetworkList;
  readonly census: Census;
  readonly tls: SmtpSettings["tls"];
}

export class PosternServer extends SMTPServer {
  readonly host: SmtpHost;
  readonly place: Place;
  readonly #parts: ServerParts;
  /** With the address that each is counted for. */
  readonly #connections = new TransientMap<PosternConnection, string>();
  readonly #onSecure = new WeakMap<object, () => MaybePromise<void>>();
  #idle: (() => void) | undefined;

  constructor(parts: ServerParts) {
    const { tls, place } = parts;
    const options: SMTPServerOptions & { allowHalfOpen: boolean } = {
      ...(tls === undefined ? {} : { key: tls.key, cert: tls.cert }),
      secure: place.settings.tls === "implicit",
      hideSTARTTLS: true,
      logger: false,
      // A client may close its side behind its last command and still read the replies.
      allowHalfOpen: true,
    };
    super(options);
    this.host = parts.host;
    this.place = place;
    this.#parts = parts;
    // An error before it listens is the answer of `listen`.
    this.on("error", (error: Error & { readonly meta?: { readonly remoteAddress?: string } }) => {
      if (!this.server.listening) return;
      const client = error.meta?.remoteAddress;
      if (client === undefined) this.host.log({ kind: "failed", session: undefined, where: "listener", error });
      else this.#turnAway(addressOf(client), `TLS handshake failed: ${error.message}`);
    });
  }

  /** smtp-server has a certificate of its own for tests, whose key everybody knows: it is never loaded. */
  override updateSecureContext(options?: Parameters<SMTPServer["updateSecureContext"]>[0]): void {
    if (this.options.key === undefined) this.secureContext = new Map();
    else super.updateSecureContext(options);
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const address = addressOf(options?.remoteAddress ?? socket.remoteAddress);
    const id = this.host.ids();
    let generation: SessionGeneration;
    try {
      generation = this.host.acquire(id);
    } catch (error) {
      this.host.log({ kind: "failed", session: undefined, where: "listener", error });
      return dismiss(socket, formatReply(noGeneration));
    }
    const { settings, networks } = generation;
    const { census } = this.#parts;
    const refusal = census.enter(
      address,
      settings.limits,
      isKnownAtOnce(networks, address),
      this.host.clock.monotonic(),
    );
    if (refusal !== undefined) {
      generation.release();
      this.#turnAwayFor(refusal, address);
      return dismiss(socket, turnedAway[refusal]);
    }
    const connection = new PosternConnection(this, socket, { ...options, id }, generation);
    this.#connections.set(connection, address);
    connection.on("error", () => {});
    connection.init();
  }

  /** The connection is closed for good. */
  left(connection: PosternConnection): void {
    const address = this.#connections.get(connection);
    if (address === undefined) return;
    this.#connections.delete(connection);
    this.#parts.census.leave(address);
    if (this.#connections.size === 0) this.#idle?.();
  }

  /** Called when the TLS handshake of a session is done, before its first octet is read. */
  onceSecure(session: SMTPServerSession, call: () => MaybePromise<void>): void {
    this.#onSecure.set(session, call);
  }

  override onSecure(
    _socket: Socket | TLSSocket,
    session: SMTPServerSession,
    callback: (error?: Error | null) => void,
  ): void {
    const call = this.#onSecure.get(session);
    this.#onSecure.delete(session);
    const pending = call?.();
    if (isPromise(pending)) void pending.then(() => callback());
    else callback();
  }

  /** A TLS handshake of a client counts as its session: it costs more than most, and need never end. */
  override _acceptSocket(socket: Socket, handshake: boolean): (() => void) | false {
    const address = addressOf(socket.remoteAddress);
    // Behind a proxy nobody knows yet whose it is.
    const counted = handshake && !this._expectsProxyHeader(socket);
    if (counted && !this.#mayShakeHands(address)) {
      socket.on("error", () => {});
      socket.destroy();
      return false;
    }
    const accepted = super._acceptSocket(socket, handshake);
    if (!counted || accepted === false) return accepted;
    let open = true;
    const leave = (): void => {
      if (open) this.#parts.census.leave(address);
      open = false;
    };
    socket.once("close", leave);
    return () => {
      socket.off("close", leave);
      leave();
      accepted();
    };
  }

  override _expectsProxyHeader(socket: Socket): boolean {
    return this.#parts.proxy.contains(addressOf(socket.remoteAddress));
  }

  override _handleProxy(
    socket: Socket,
    callback: (error: Error | null, options?: SMTPConnectionOptions & { id: string }) => void,
  ): void {
    if (!this._expectsProxyHeader(socket)) return callback(null, { id: "-" });
    readProxyHeader(socket, this.host.clock, (client, error) => {
      if (error !== undefined) {
        this.#turnAway(addressOf(socket.remoteAddress), error.message);
        socket.on("error", () => {});
        socket.destroy();
        return callback(error);
      }
      if (client === undefined) return callback(null, { id: "-" });
      callback(null, {
        id: "-",
        remoteAddress: client.source.address,
        remotePort: client.source.port,
        localAddress: client.destination.address,
        localPort: client.destination.port,
      });
    });
  }

  /** Ends sessions: those between messages at once, the others after `graceMs` at the latest. */
  shutDown(graceMs: number): Promise<void> {
    for (const socket of this._pendingSockets.values()) socket.destroy();
    for (const connection of this.#connections.keys()) connection.shutDown();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.host.clock.setTimer(() => {
        for (const connection of this.#connections.keys()) connection.cutOff();
      }, graceMs);
      const idle = (): void => {
        timer.cancel();
        resolve();
      };
      this.#idle = idle;
    });
  }

  /** Its rate is counted when it becomes a session. */
  #mayShakeHands(address: string): boolean {
    const generation = this.host.acquire();
    const { settings, networks } = generation;
    generation.release();
    const limits = { ...settings.limits, sessionsPerMinute: undefined };
    const refusal = this.#parts.census.enter(
      address,
      limits,
      isKnownAtOnce(networks, address),
      this.host.clock.monotonic(),
    );
    if (refusal !== undefined) this.#turnAwayFor(refusal, address);
    return refusal === undefined;
  }

  #turnAwayFor(refusal: CensusRefusal, address: string): void {
    this.#turnAway(address, refusal === "total" ? "too many sessions" : `too many sessions (${refusal})`);
  }

  #turnAway(address: string, reason: string): void {
    this.host.log({ kind: "turnedAway", listener: this.place.settings.name, address, reason });
  }
}

function addressOf(text: string | undefined): string {
  const ip = parseIp(text ?? "");
  return ip === undefined ? (text ?? "") : formatIp(ip);
}

function dismiss(socket: Socket | TLSSocket, said: string): void {
  socket.on("error", () => {});
  socket.end(`${said}\r\n`);
  socket.destroySoon();
}
