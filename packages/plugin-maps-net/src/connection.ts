/**
 * One connection: a request, its whole answer, the next request. Whatever is out of step (bytes that nobody asked for, an
 * answer cut short, bytes behind an answer) ends the connection, so that no key ever gets the answer of another.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { Endpoint } from "./endpoint.ts";
import { ExchangeError, type ExchangeTrouble } from "./exchange-error.ts";

/**
 * Looks for one whole answer at the start of `bytes`, of which the first `seen` were there at the last call. `undefined`:
 * there must come more. Throws an `ExchangeError` ("rubbish") for what can be no answer, also when it gets too long for one.
 */
export type ReplyReader<T> = (bytes: Buffer, seen: number) => { readonly value: T; readonly used: number } | undefined;

/** What a connection is before it serves a request. */
export interface Opening {
  /** TLS from the first octet on, over TCP; without it in clear. */
  readonly tls?: ConnectionOptions | undefined;
  /** Said first, a login; its answer must be one that the reader takes. */
  readonly greeting?: { readonly request: Buffer; readonly read: ReplyReader<unknown> } | undefined;
}

interface Pending {
  read(bytes: Buffer, seen: number): boolean;
  fail(error: ExchangeError): void;
}

const firstBuffer = 1024;

export class Connection {
  readonly endpoint: Endpoint;
  /** Answers that came over it. */
  answers = 0;
  readonly #socket: Socket;
  readonly #onEnd: (connection: Connection) => void;
  #connected = false;
  #ended = false;
  #pending: Pending | undefined;
  /** Until the greeting is answered. */
  #greeted: Promise<unknown> | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  /** Connects at once; a request may be given before it is there. `onEnd` is told once, whatever ends it. */
  constructor(endpoint: Endpoint, onEnd: (connection: Connection) => void, { tls, greeting }: Opening = {}) {
    this.endpoint = endpoint;
    this.#onEnd = onEnd;
    const secure = tls !== undefined && !("path" in endpoint);
    this.#socket = secure ? openTls(endpoint, tls) : connect(endpoint);
    this.#socket.setNoDelay(true);
    this.#socket.on(secure ? "secureConnect" : "connect", () => (this.#connected = true));
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", (cause) => this.end(this.#broken(cause)));
    this.#socket.on("end", () => this.end(this.#broken()));
    this.#socket.on("close", () => this.end(this.#broken()));
    if (greeting !== undefined) this.#greeted = this.#exchange(greeting.request, greeting.read);
  }

  get usable(): boolean {
    return !this.#ended;
  }

  /** One at a time. Rejects with `ExchangeError`; the connection is over then. */
  async exchange<T>(request: Buffer, read: ReplyReader<T>): Promise<T> {
    if (this.#greeted !== undefined) {
      await this.#greeted;
      this.#greeted = undefined;
    }
    const value = await this.#exchange(request, read);
    this.answers++;
    return value;
  }

  #exchange<T>(request: Buffer, read: ReplyReader<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#broken());
        return;
      }
      this.#pending = {
        read: (bytes, seen) => {
          const answer = read(bytes, seen);
          if (answer === undefined) return false;
          this.#pending = undefined;
          this.#length = 0;
          // Nobody asked for what stands behind it, and nobody can say whose answer it is.
          if (answer.used !== bytes.length) this.end();
          resolve(answer.value);
          return true;
        },
        fail: reject,
      };
      this.#socket.write(request);
    });
  }

  end(error?: ExchangeError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    const pending = this.#pending;
    this.#pending = undefined;
    this.#bytes = Buffer.alloc(0);
    this.#onEnd(this);
    pending?.fail(error ?? new ExchangeError("closed", "the connection was closed"));
  }

  #broken(cause?: NodeJS.ErrnoException): ExchangeError {
    const trouble: ExchangeTrouble = this.#connected ? "lost" : "refused";
    const code = cause?.code;
    const what = this.#connected ? "closed the connection" : "cannot be reached";
    return new ExchangeError(trouble, `${this.endpoint.text} ${what}${code === undefined ? "" : ` (${code})`}`, {
      cause,
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    const pending = this.#pending;
    if (pending === undefined) {
      this.end();
      return;
    }
    try {
      // The common answer comes in one piece.
      if (this.#length === 0 && pending.read(chunk, 0)) return;
      const seen = this.#length;
      this.#append(chunk);
      if (seen > 0) pending.read(this.#bytes.subarray(0, this.#length), seen);
    } catch (error) {
      this.end(
        error instanceof ExchangeError ? error : new ExchangeError("rubbish", "unreadable answer", { cause: error }),
      );
    }
  }

  /** Grows by doubling: an answer in pieces of one byte costs no more than twice its length. */
  #append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(Math.max(length, this.#bytes.length * 2, firstBuffer));
      this.#bytes.copy(bytes, 0, 0, this.#length);
      this.#bytes = bytes;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length = length;
  }
}

function openTls({ host, port }: { readonly host: string; readonly port: number }, tls: ConnectionOptions): Socket {
  return connectTls({ ...tls, host, port, ...(isIP(host) === 0 ? { servername: host } : {}) });
}
