/**
 * The parser beneath a connection, in place of smtp-server's: lines of commands, and in between the octets of DATA or BDAT,
 * which go to a receiver. Commands are answered strictly one after another, without a promise where the answer is at hand.
 * When all of a packet is taken, the reader is told, so that the replies of pipelined commands leave in one write.
 */
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import { isPromise, type MaybePromise } from "../model/index.ts";
import type { LineFault } from "./line-faults.ts";

/** Takes the octets of a message until it has them all. */
export interface Receiver {
  /** Takes octets of `chunk` from `start` on; returns the position behind the last one taken. */
  take(chunk: Buffer, start: number): number;
  /** Has all its octets; the next one is a command's. */
  readonly finished: boolean;
  /** Asks to wait before the next octets. */
  readonly pressure: Promise<unknown> | undefined;
  /** Called once when finished; the parser waits for it. */
  complete(): MaybePromise<void>;
}

export interface Reader {
  /** One line without its end; octets that are no UTF-8 come as U+FFFD. `ahead`: more has come behind it already. */
  command(line: string, ahead: boolean): MaybePromise<void>;
  /** A line that is no command, for what it is. */
  malformed(fault: LineFault): void;
  /** Octets have come before the greeting went. True: they are for nobody. */
  tooEarly(): boolean;
  /** All that came is taken; a promise asks to wait. `commands`: how many were among it. */
  settled(commands: number): MaybePromise<void>;
  /** The client has closed its side; everything before is taken. */
  inputEnded(): void;
  /** The parser itself failed: no use in going on. */
  broken(error: unknown): void;
  /** With CRLF. */
  readonly longestLineBytes: number;
}

/** Commands of one packet that are answered before others have their turn. */
const commandsPerTurn = 100;
/** Octets that may wait while a command is carried out, before the pipe is asked to stop. */
const mostWaitingBytes = 64 * 1024;
const carriageReturn = 0x0d;

/**
 * The end of a pipe. `write` and `end` are its own: of what a Writable does for each packet a pipe needs nothing but the answer
 * whether to go on.
 */
export class CommandStream extends SMTPStream {
  readonly #reader: Reader;
  /** A bare LF ends a line, too. */
  readonly #lenientLineEnds: boolean;
  #receiver: Receiver | undefined;
  /** A line that has not ended yet; longer ones are dropped up to their end. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** The packet that is being taken. */
  #chunk: Buffer | undefined;
  #at = 0;
  #commands = 0;
  /** From a packet's first octet until everybody is content with its last one. */
  #busy = false;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #full = false;
  #ended = false;
  readonly #resume = (): void => this.#run();

  constructor(reader: Reader, lenientLineEnds: boolean) {
    super();
    this.#reader = reader;
    this.#lenientLineEnds = lenientLineEnds;
  }

  /** The next octets are a message's. */
  receive(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  /** `false` asks to wait for "drain". */
  override write(chunk: Buffer): boolean {
    if (this.isClosed) return true;
    if (!this.#busy) this.#begin(chunk);
    else {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
      this.#full = this.#waitingBytes > mostWaitingBytes;
    }
    return !this.#full;
  }

  /** Nothing more will come; what has come is taken first. */
  override end(): this {
    this.#ended = true;
    return this.#busy ? this : super.end();
  }

  override _flushData(): void {
    if (!this.isClosed) this.#reader.inputEnded();
  }

  #begin(chunk: Buffer): void {
    this.#busy = true;
    this.#chunk = chunk;
    this.#at = 0;
    this.#commands = 0;
    if (this.#reader.tooEarly()) this.#at = chunk.length;
    this.#run();
  }

  #run(): void {
    try {
      this.#takeAll();
    } catch (error) {
      // Nobody above would catch it: it would end the process.
      this.#chunk = undefined;
      this.#reader.broken(error);
      this.#done();
    }
  }

  #takeAll(): void {
    const chunk = this.#chunk;
    let steps = 0;
    while (chunk !== undefined && this.#at < chunk.length && !this.isClosed) {
      const pending = this.#receiver === undefined ? this.#takeLine(chunk) : this.#takeContent(this.#receiver, chunk);
      if (isPromise(pending)) return this.#resumeAfter(pending);
      steps += 1;
      if (steps >= commandsPerTurn) {
        setImmediate(this.#resume);
        return;
      }
    }
    this.#chunk = undefined;
    const settled = this.isClosed ? undefined : this.#reader.settled(this.#commands);
    if (isPromise(settled)) void settled.then(() => this.#done());
    else this.#done();
  }

  /** With one packet: on to those that came meanwhile, put together, since a client may send octet by octet. */
  #done(): void {
    const waiting = this.#waiting;
    if (waiting.length > 0 && !this.isClosed) {
      this.#waiting = [];
      this.#waitingBytes = 0;
      return this.#begin(waiting.length === 1 ? (waiting[0] as Buffer) : Buffer.concat(waiting));
    }
    this.#busy = false;
    if (this.#full) {
      this.#full = false;
      this.emit("drain");
    }
    if (this.#ended) super.end();
  }

  #resumeAfter(pending: Promise<unknown>): void {
    void pending.then(this.#resume, this.#resume);
  }

  #takeContent(receiver: Receiver, chunk: Buffer): MaybePromise<unknown> {
    this.#at = receiver.take(chunk, this.#at);
    if (!receiver.finished) return receiver.pressure;
    this.#receiver = undefined;
    this.#commands += 1;
    return receiver.complete();
  }

  #takeLine(chunk: Buffer): MaybePromise<void> {
    const start = this.#at;
    const end = chunk.indexOf(0x0a, start);
    const { longestLineBytes } = this.#reader;
    if (end < 0) {
      this.#at = chunk.length;
      this.#partialBytes += chunk.length - start;
      // Its end will tell that it was too long; until then it costs nothing.
      if (this.#partialBytes > longestLineBytes) this.#partial = [];
      else this.#partial.push(chunk.subarray(start));
      return undefined;
    }
    this.#at = end + 1;
    this.#commands += 1;
    const lineBytes = this.#partialBytes + end + 1 - start;
    if (lineBytes > longestLineBytes) {
      this.#partial = [];
      this.#partialBytes = 0;
      return this.#reader.malformed("tooLong");
    }
    return this.#dispatch(this.#wholeLine(chunk, start, end));
  }

  /** Without its LF. */
  #wholeLine(chunk: Buffer, start: number, end: number): Buffer {
    const tail = chunk.subarray(start, end);
    if (this.#partialBytes === 0) return tail;
    const whole = Buffer.concat([...this.#partial, tail]);
    this.#partial = [];
    this.#partialBytes = 0;
    return whole;
  }

  #dispatch(octets: Buffer): MaybePromise<void> {
    const proper = octets[octets.length - 1] === carriageReturn;
    if (!proper && !this.#lenientLineEnds) return this.#reader.malformed("bareLf");
    const length = proper ? octets.length - 1 : octets.length;
    let line = octets.toString("latin1", 0, length);
    if (line.includes("\r")) return this.#reader.malformed("bareCr");
    if (line.includes("\0")) return this.#reader.malformed("nul");
    if (/[\u0080-\u00ff]/.test(line)) line = octets.toString("utf8", 0, length);
    return this.#reader.command(line, this.#at < (this.#chunk?.length ?? 0) || this.#waiting.length > 0);
  }
}
