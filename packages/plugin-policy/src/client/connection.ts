/**
 * One connection to a policy service: a request, its whole answer, the next request. Whatever is out of step (octets that nobody
 * asked for, an answer cut short) ends the connection, so that no question ever gets the answer of another.
 */
import { connect, type Socket } from "node:net";
import type { Clock, Timer } from "@postern/core";
import type { Address } from "../address.ts";
import { Trouble } from "./trouble.ts";

/** Octets of an answer with all its lines; a header to prepend is the longest that is in one. */
const longestAnswer = 32 * 1024;
const blankLine = "\n\n";

interface Pending {
  readonly resolve: (answer: string) => void;
  readonly reject: (trouble: Trouble) => void;
  readonly timer: Timer;
}

export class Connection {
  readonly bornAt: number;
  /** Answers that came over it. */
  answers = 0;
  readonly #address: Address;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #onEnd: (connection: Connection) => void;
  #connected = false;
  #ended = false;
  #pending: Pending | undefined;
  /** What has come of an answer in several pieces. */
  #pieces: Buffer | undefined;

  /** Connects at once; a request may be given before it is there. `onEnd` is told once, whatever ends it. */
  constructor(address: Address, clock: Clock, onEnd: (connection: Connection) => void) {
    this.#address = address;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.bornAt = clock.monotonic();
    this.#socket = connect(address).setNoDelay(true);
    this.#socket.on("connect", () => (this.#connected = true));
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", (cause) => this.end(this.#broken(cause)));
    this.#socket.on("end", () => this.end(this.#broken()));
    this.#socket.on("close", () => this.end(this.#broken()));
  }

  get usable(): boolean {
    return !this.#ended;
  }

  /** Octets of an answer have come that was not whole. */
  get partial(): boolean {
    return this.#pieces !== undefined;
  }

  /** The lines of the answer, without the blank one. One at a time. Rejects with `Trouble`; the connection is over then. */
  ask(request: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#broken());
        return;
      }
      const late = (): void => this.end(new Trouble("late", `no answer within ${Math.round(timeoutMs)} ms`));
      this.#pending = { resolve, reject, timer: this.#clock.setTimer(late, timeoutMs) };
      this.#socket.write(request);
    });
  }

  end(trouble?: Trouble): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.timer.cancel();
    this.#onEnd(this);
    pending?.reject(trouble ?? new Trouble("closed", "the connection was closed"));
  }

  #broken(cause?: NodeJS.ErrnoException): Trouble {
    const code = cause?.code === undefined ? "" : ` (${cause.code})`;
    return this.#connected
      ? new Trouble("lost", `it closed the connection${code}`, { cause })
      : new Trouble("refused", `${this.#address.text} cannot be reached${code}`, { cause });
  }

  #receive(chunk: Buffer): void {
    const pending = this.#pending;
    if (pending === undefined) {
      this.end();
      return;
    }
    const bytes = this.#pieces === undefined ? chunk : Buffer.concat([this.#pieces, chunk]);
    // A blank line at once is a whole answer, too, if an empty one.
    const end = bytes[0] === 0x0a ? 0 : bytes.indexOf(blankLine);
    if (end < 0) {
      this.#pieces = bytes;
      if (bytes.length > longestAnswer)
        this.end(new Trouble("rubbish", `an answer of more than ${longestAnswer} octets`));
      return;
    }
    this.#pieces = undefined;
    this.#pending = undefined;
    pending.timer.cancel();
    this.answers += 1;
    // Nobody asked for what stands behind it, and nobody can say whose answer it is.
    if (end + (end === 0 ? 1 : blankLine.length) !== bytes.length) this.end();
    pending.resolve(bytes.toString("utf8", 0, end));
  }
}
