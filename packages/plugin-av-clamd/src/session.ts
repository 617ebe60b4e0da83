/**
 * A connection to clamd in IDSESSION (clamd(8)), so that it serves one scan after the other. One command at a time: clamd answers out of
 * order, and closes the connection after each error with all that is still on it.
 */
import { errorText, ScannerFailure, type Clock, type Timer, type SocketAddress } from "@postern/core";
import { ReplySocket } from "./reply-socket.ts";

const longestAnswer = 4096;
/** After a failed write: how long clamd's last words may be on their way. */
const lastWordsMs = 1_000;
const connectMs = 3_000;
/** What may wait for the socket before a writer is asked to wait. */
const writableBytes = 256 * 1024;
const endOfAnswer = /[\0\n]/;
const octetsOf = (command: string): Buffer => Buffer.from(`z${command}\0`, "latin1");
/** Octets, not text: what is corked together with a message then goes to the kernel as it is. */
const opening = octetsOf("IDSESSION");
const instream = octetsOf("INSTREAM");

/** What is said without a number: clamd's words when it closes a connection on its own account. */
const withoutNumber: ReadonlySet<string> = new Set([
  "COMMAND READ TIMED OUT",
  "INSTREAM size limit exceeded. ERROR",
  "UNKNOWN COMMAND",
]);

export class Session {
  /** It takes no more commands. */
  closed = false;
  /** Answers that came. */
  answered = 0;
  /** The last answer came before everything was sent. */
  hasty = false;
  readonly #socket: ReplySocket;
  readonly #clock: Clock;
  readonly #connecting: Timer;
  #number = 0;
  #text = "";
  #asked: PromiseWithResolvers<string> | undefined;
  #lastWords: Timer | undefined;
  #broken = false;
  #drained: PromiseWithResolvers<boolean> | undefined;

  constructor(address: SocketAddress, clock: Clock) {
    this.#clock = clock;
    this.#socket = new ReplySocket(
      (piece) => this.#onRead(piece),
      () => this.#onBroken(),
    );
    this.#socket.on("error", (error) => this.#fail("down", `cannot be asked: ${errorText(error)}`, error));
    this.#socket.on("end", () => this.#onClosed());
    this.#socket.on("close", () => this.#onClosed());
    this.#socket.on("drain", () => this.#onDrain());
    this.#connecting = clock.setTimer(() => this.#fail("down", "does not take the connection"), connectMs);
    // The end of a stream is four octets, which would wait for an acknowledgement of what is before them.
    this.#socket.setNoDelay(true);
    this.#socket.connect(address, () => this.#connecting.cancel());
  }

  /**
   * Puts a command. The answer comes without its number, and may come before all of a stream was written. Rejects with `ScannerFailure`:
   * `down` when clamd cannot be reached or is gone, `error` for what is no answer to this command.
   */
  begin(command: string): Promise<string> {
    this.#asked = Promise.withResolvers<string>();
    this.#number += 1;
    if (this.closed) this.#asked.reject(new ScannerFailure("down", "the connection to clamd is closed"));
    else {
      if (this.#number === 1) this.#socket.write(opening);
      this.#socket.write(command === "INSTREAM" ? instream : octetsOf(command));
    }
    return this.#asked.promise;
  }

  /** Bundles writes until `uncork`. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /**
   * A piece of a stream: at once, or a promise when clamd is behind. `false`: nothing more can be written, the answer or a failure is there
   * or on its way.
   */
  write(parts: readonly Uint8Array[], bytes: number): boolean | Promise<boolean> {
    if (this.closed || this.#broken || this.#asked === undefined) return false;
    this.#socket.cork();
    this.#socket.write(lengthOf(bytes));
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    // Not writable: the write failed, and the socket is about to say so.
    if (this.#socket.writable && this.#socket.writableLength < writableBytes) return true;
    this.#drained ??= Promise.withResolvers<boolean>();
    return this.#drained.promise;
  }

  /** Idempotent. A command on its way fails with `failure`. */
  destroy(failure: ScannerFailure): void {
    this.#end();
    this.#asked?.reject(failure);
    this.#asked = undefined;
  }

  #end(): void {
    this.closed = true;
    this.#connecting.cancel();
    this.#lastWords?.cancel();
    this.#socket.destroy();
    this.#onDrain();
  }

  #onRead(piece: string): void {
    if (this.closed) return;
    const text = this.#text + piece;
    const length = text.search(endOfAnswer);
    if (length < 0) {
      this.#text = text;
      if (text.length > longestAnswer) this.#fail("error", "sends an answer without end");
      return;
    }
    const asked = this.#asked;
    const answer = text.slice(0, length);
    const prefix = `${this.#number}: `;
    this.#text = "";
    this.#asked = undefined;
    if (answer.startsWith(prefix) && asked !== undefined) {
      this.answered += 1;
      this.hasty = this.#socket.writableLength > 0;
      // More than one answer to one command: who knows what is next.
      if (length + 1 < text.length || this.#broken || this.hasty) this.#end();
      else this.#onDrain();
      asked.resolve(answer.slice(prefix.length));
      return;
    }
    this.#end();
    if (withoutNumber.has(answer)) asked?.resolve(answer);
    else asked?.reject(new ScannerFailure("error", `clamd answered ${JSON.stringify(answer.slice(0, 200))}`));
  }

  #onBroken(): void {
    this.#broken = true;
    this.#lastWords = this.#clock.setTimer(() => this.#onClosed(), lastWordsMs);
    this.#onDrain();
  }

  #onClosed(): void {
    this.#fail("down", "closed the connection without an answer");
  }

  #fail(reason: "down" | "error", text: string, cause?: unknown): void {
    if (!this.closed) this.destroy(new ScannerFailure(reason, `clamd ${text}`, { cause }));
  }

  #onDrain(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.resolve(this.#asked !== undefined && !this.closed && !this.#broken);
  }
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes);
  return length;
}
