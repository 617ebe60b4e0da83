/** One connection of another mail server: a question, its answer, the next question. A bad question ends it, as Postfix expects. */
import type { Socket } from "node:net";
import type { Clock, Timer } from "@postern/core";
import { parseQuestion, type Attributes } from "./question.ts";

/** Octets of one question. Postfix's own have less than 3,000, with the longest addresses and certificates. */
const longestQuestion = 32 * 1024;
/** Octets of answers that nobody reads. */
const mostUnread = 64 * 1024;

export interface AskerParts {
  readonly clock: Clock;
  /** For one question to come in, once it has begun. */
  readonly timeoutMs: number;
  readonly idleMs: number;
  /** The action. Never rejects. */
  answer(question: Attributes): Promise<string>;
  /** Why the connection is closed, for the log. */
  refuse(why: string): void;
  onEnd(asker: Asker): void;
}

export class Asker {
  readonly #socket: Socket;
  readonly #parts: AskerParts;
  #bytes: Buffer = Buffer.alloc(0);
  #timer: Timer | undefined;
  #answering = false;
  #closing = false;
  #ended = false;

  constructor(socket: Socket, parts: AskerParts) {
    this.#socket = socket;
    this.#parts = parts;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    // What is being answered is answered: a client may end its side after its last question.
    socket.on("end", () => (this.#answering ? this.close() : this.#end()));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
    this.#wait(parts.idleMs, undefined);
  }

  /** At once, or after the answer that is being made. */
  close(): void {
    this.#closing = true;
    if (!this.#answering) this.#end();
  }

  destroy(): void {
    this.#end();
  }

  #receive(chunk: Buffer): void {
    const begun = this.#bytes.length > 0;
    this.#bytes = begun ? Buffer.concat([this.#bytes, chunk]) : chunk;
    if (!this.#answering) this.#next(begun);
  }

  #next(begun: boolean): void {
    const end = this.#bytes.indexOf("\n\n");
    if (end > longestQuestion || (end < 0 && this.#bytes.length > longestQuestion)) {
      this.#refuse(`a question of more than ${longestQuestion} octets`);
      return;
    }
    if (end < 0) {
      const { timeoutMs, idleMs } = this.#parts;
      if (this.#bytes.length === 0) this.#wait(idleMs, undefined);
      else if (!begun) this.#wait(timeoutMs, "a question that did not end in time");
      return;
    }
    const question = parseQuestion(this.#bytes.toString("utf8", 0, end));
    this.#bytes = this.#bytes.subarray(end + 2);
    if (question === undefined) this.#refuse("what is no question of the policy protocol");
    else void this.#answer(question);
  }

  async #answer(question: Attributes): Promise<void> {
    this.#timer?.cancel();
    this.#answering = true;
    // Whoever sends more meanwhile waits in the kernel, not in our memory.
    this.#socket.pause();
    const action = await this.#parts.answer(question);
    this.#answering = false;
    if (this.#ended) return;
    if (this.#closing) {
      this.#socket.end(`action=${action}\n\n`);
      this.#wait(this.#parts.timeoutMs, undefined);
      return;
    }
    this.#socket.write(`action=${action}\n\n`);
    if (this.#socket.writableLength > mostUnread) {
      this.#refuse("answers that nobody reads");
      return;
    }
    this.#socket.resume();
    this.#next(false);
  }

  /** `why`: what is wrong then; `undefined` when nothing is. */
  #wait(delayMs: number, why: string | undefined): void {
    this.#timer?.cancel();
    const over = (): void => (why === undefined ? this.#end() : this.#refuse(why));
    this.#timer = this.#parts.clock.setTimer(over, delayMs);
  }

  #refuse(why: string): void {
    this.#parts.refuse(why);
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#bytes = Buffer.alloc(0);
    this.#socket.destroy();
    this.#parts.onEnd(this);
  }
}
