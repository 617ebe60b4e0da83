/**
 * One connection to one server, given out only when it stands: TCP or socket, StartTLS and bind are done. It never connects
 * again by itself, so that no search can run on a connection that is not bound; `Directory` opens a new one instead. Many
 * searches run on it at once (RFC 4511 §3.1).
 */
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { isIP } from "node:net";
import { AbandonRequest, BindRequest, ExtendedRequest, SearchRequest, UnbindRequest } from "ldapts";
import type { Filter } from "ldapts";
import { errorText, type Clock, type Timer } from "@postern/core";
import { operations, ProtocolError, readAnswer } from "./answer.ts";
import type { Answer, Attribute } from "./answer.ts";
import { Framing } from "./framing.ts";
import type { ConnectionSettings } from "./settings.ts";
import type { Server } from "./servers.ts";
import { statusName } from "./status.ts";
import type { UrlScope } from "./url.ts";

export interface Search {
  readonly base: string;
  readonly scope: UrlScope;
  readonly filter: Filter;
  readonly attributes: readonly string[];
  /** Entries; 0: as many as there are. */
  readonly sizeLimit: number;
}

export interface Entry {
  readonly dn: string;
  readonly attributes: readonly Attribute[];
}

export interface SearchResult {
  readonly status: number;
  readonly message: string;
  readonly entries: readonly Entry[];
  /** The server named others that may know more. */
  readonly referred: boolean;
}

/** The connection is gone; nothing is known of the search. */
export class ConnectionLost extends Error {}

/** No answer in time. */
export class SearchTimeout extends Error {}

/** The answer is larger than what is kept of one. */
export class AnswerTooLarge extends Error {}

/** Octets of all entries of one search. */
export const longestAnswer = 16 * 1024 * 1024;

const startTlsOid = "1.3.6.1.4.1.1466.20037";
const saslBindInProgress = 14;

interface Pending {
  readonly entries: Entry[];
  readonly timer: Timer;
  readonly resolve: (result: SearchResult) => void;
  readonly reject: (error: Error) => void;
  /** How much had been heard from the server when it was asked. */
  readonly heardBefore: number;
  referred: boolean;
  octets: number;
}

export class Connection {
  readonly server: Server;
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  readonly #framing = new Framing(longestAnswer);
  readonly #onClosed: (connection: Connection) => void;
  #socket: Socket;
  #lastId = 0;
  #heard = 0;
  #silent = false;
  #closed: Error | undefined;
  /** Waits for the answer to the one operation of the opening. */
  #single:
    | { readonly id: number; readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }
    | undefined;

  private constructor(
    server: Server,
    settings: ConnectionSettings,
    clock: Clock,
    onClosed: (connection: Connection) => void,
  ) {
    this.server = server;
    this.#settings = settings;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#socket = this.#connect();
  }

  /** Rejects when the server cannot be reached, refuses TLS or the bind, is not done within the timeout, or at the signal. */
  static async open(
    server: Server,
    settings: ConnectionSettings,
    clock: Clock,
    onClosed: (connection: Connection) => void,
    signal: AbortSignal,
  ): Promise<Connection> {
    signal.throwIfAborted();
    const connection = new Connection(server, settings, clock, onClosed);
    const giveUp = () => connection.close();
    signal.addEventListener("abort", giveUp);
    const timer = clock.setTimer(
      () => connection.close(new ConnectionLost("no answer in time while connecting")),
      settings.timeoutMs,
    );
    try {
      await connection.#opened(server.secure ? "secureConnect" : "connect");
      connection.#listen();
      if (settings.startTls) await connection.#startTls();
      await connection.#bind();
      return connection;
    } catch (error) {
      connection.close(error instanceof Error ? error : new ConnectionLost(String(error)));
      throw error;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", giveUp);
    }
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Closed since the server said nothing at all. */
  get isSilent(): boolean {
    return this.#silent;
  }

  /** Rejects with `ConnectionLost`, `SearchTimeout` or `AnswerTooLarge`; every status of the server is an answer. */
  search(search: Search): Promise<SearchResult> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(new ConnectionLost(this.#closed.message));
        return;
      }
      const id = this.#nextId();
      const { base, scope, filter, attributes, sizeLimit } = search;
      const { timeoutMs, dereference } = this.#settings;
      const request = new SearchRequest({
        messageId: id,
        baseDN: base,
        scope,
        filter,
        attributes: [...attributes],
        sizeLimit,
        timeLimit: Math.ceil(timeoutMs / 1000),
        derefAliases: dereference,
      });
      const octets = request.write();
      const timer = this.#clock.setTimer(() => this.#expire(id), timeoutMs);
      const entries: Entry[] = [];
      this.#pending.set(id, { entries, timer, resolve, reject, heardBefore: this.#heard, referred: false, octets: 0 });
      this.#socket.write(octets);
    });
  }

  /** Says goodbye and rejects what still waits. */
  close(error: Error = new ConnectionLost("closed")): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    if (this.#socket.writable && !this.#socket.connecting) {
      this.#socket.end(new UnbindRequest({ messageId: this.#nextId() }).write());
      // A server that stands still would keep what is written for ever.
      this.#clock.setTimer(() => this.#socket.destroy(), 100);
    } else this.#socket.destroy();
    this.#single?.reject(error);
    this.#single = undefined;
    for (const { timer, reject } of this.#pending.values()) {
      timer.cancel();
      reject(error instanceof ConnectionLost ? error : new ConnectionLost(errorText(error), { cause: error }));
    }
    this.#pending.clear();
    this.#onClosed(this);
  }

  #connect(): Socket {
    const { address, secure } = this.server;
    const socket =
      secure && "host" in address ? connectTls({ ...address, ...this.#tlsOptions() }) : connectTcp(address);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    return socket;
  }

  #tlsOptions(): object {
    const { address } = this.server;
    const host = "host" in address ? address.host : "localhost";
    return { ...this.#settings.tls, host, ...(isIP(host) === 0 ? { servername: host } : {}) };
  }

  #opened(event: "connect" | "secureConnect"): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      socket.once(event, resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(this.#closed ?? new ConnectionLost("closed while connecting")));
    });
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on("data", (piece: Buffer) => this.#read(piece));
    socket.on("error", (error) => this.close(new ConnectionLost(errorText(error), { cause: error })));
    socket.on("end", () => this.close(new ConnectionLost("closed by the server")));
    socket.on("close", () => this.close(new ConnectionLost("closed by the server")));
  }

  async #startTls(): Promise<void> {
    const id = this.#nextId();
    const answer = await this.#ask(id, new ExtendedRequest({ messageId: id, oid: startTlsOid }).write());
    checkResult(answer, operations.extended, "StartTLS");
    // What came in clear behind the answer must not count as said in secret (RFC 4513 §3.1.1).
    if (this.#framing.holds) throw new ProtocolError("octets between StartTLS and the handshake");
    const plain = this.#socket;
    for (const event of ["data", "error", "end", "close"]) plain.removeAllListeners(event);
    plain.on("error", (error) => this.close(new ConnectionLost(errorText(error), { cause: error })));
    this.#socket = connectTls({ ...this.#tlsOptions(), socket: plain });
    await this.#opened("secureConnect");
    this.#listen();
  }

  async #bind(): Promise<void> {
    const { bind } = this.#settings;
    if (bind.kind === "none") return;
    const id = this.#nextId();
    const request =
      bind.kind === "external"
        ? new BindRequest({ messageId: id, mechanism: "EXTERNAL", password: bind.authorization })
        : new BindRequest({ messageId: id, dn: bind.dn, password: bind.password });
    const answer = await this.#ask(id, request.write());
    if (answer.kind === "result" && answer.status === saslBindInProgress)
      throw new ConnectionLost("bind wants more steps");
    checkResult(answer, operations.bind, "bind");
  }

  #ask(id: number, request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      this.#single = { id, resolve, reject };
      this.#socket.write(request);
    });
  }

  #read(piece: Buffer): void {
    this.#heard += 1;
    try {
      for (const message of this.#framing.take(piece)) this.#handle(readAnswer(message), message.length);
    } catch (error) {
      this.close(error instanceof Error ? error : new ConnectionLost(String(error)));
    }
  }

  #handle(answer: Answer, octets: number): void {
    if (this.#closed !== undefined) return;
    if (answer.id === 0) {
      // Notice of disconnection (RFC 4511 §4.4.1).
      throw new ConnectionLost(
        answer.kind === "result" ? `ended by the server: ${answer.message}` : "ended by the server",
      );
    }
    if (answer.id === this.#single?.id) {
      const { resolve } = this.#single;
      this.#single = undefined;
      resolve(answer);
      return;
    }
    const pending = this.#pending.get(answer.id);
    // One that was given up.
    if (pending === undefined) return;
    if (answer.kind === "entry") {
      pending.octets += octets;
      if (pending.octets > longestAnswer) {
        this.#abandon(answer.id, new AnswerTooLarge(`answer longer than ${longestAnswer} octets`));
      } else pending.entries.push({ dn: answer.dn, attributes: answer.attributes });
    } else if (answer.kind === "reference") {
      pending.referred = true;
    } else if (answer.kind === "result" && answer.operation === operations.done) {
      const { status, message } = answer;
      this.#pending.delete(answer.id);
      pending.timer.cancel();
      pending.resolve({ status, message, entries: pending.entries, referred: pending.referred });
    } else {
      throw new ProtocolError("answer of another kind than was asked for");
    }
  }

  #expire(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#silent = pending.heardBefore === this.#heard;
    this.#abandon(id, new SearchTimeout(`no answer within ${this.#settings.timeoutMs} ms`));
    // Not a word since then: the server stands still, and the others wait in vain as well.
    if (this.#silent) this.close(new ConnectionLost("the server is silent"));
  }

  #abandon(id: number, error: Error): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.timer.cancel();
    pending?.reject(error);
    if (this.isOpen) this.#socket.write(new AbandonRequest({ messageId: this.#nextId(), abandonId: id }).write());
  }

  #nextId(): number {
    do this.#lastId = this.#lastId >= 0x7fff_ffff ? 1 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

function checkResult(answer: Answer, operation: number, what: string): void {
  if (answer.kind !== "result" || answer.operation !== operation) throw new ProtocolError(`wrong answer to ${what}`);
  if (answer.status !== 0) {
    throw new ConnectionLost(`${what} refused: ${statusName(answer.status)} ${answer.message}`.trimEnd());
  }
}
