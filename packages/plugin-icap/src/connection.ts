/**
 * A connection to an ICAP server: octets out at the server's pace, octets in when they are asked for, bounded. It goes on reading when
 * a write failed: a server that has said enough answers, closes, and leaves the sender with EPIPE or ECONNRESET.
 */
import { Socket } from "node:net";
import { errorText, ScannerFailure, type Clock, type Timer } from "@postern/core";
import type { IcapAddress } from "./address.ts";
import { fault, lost } from "./fault.ts";

/** Octets taken from the server before anybody asks for them. */
const mostAhead = 128 * 1024;
/** For an answer that is on its way when a write has failed. */
const lastWordsMs = 1_000;
const brokenPipe: readonly unknown[] = ["EPIPE", "ECONNRESET"];

class StubbornSocket extends Socket {
  onBroken: (() => void) | undefined;

  override destroy(error?: Error): this {
    const { syscall, code } = (error ?? {}) as NodeJS.ErrnoException;
    if (syscall !== "write" || !brokenPipe.includes(code) || this.onBroken === undefined) return super.destroy(error);
    this.onBroken();
    return this;
  }
}

/** Times in milliseconds. */
export interface Patience {
  readonly connect: number;
  /** Without an octet in either direction. */
  readonly answer: number;
}

export class Connection {
  readonly #socket: StubbornSocket;
  readonly #clock: Clock;
  readonly #patience: Patience;
  #received: Buffer = Buffer.alloc(0);
  /** Why nothing more will come. */
  #lost: ScannerFailure | undefined;
  #broken = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #timer: Timer | undefined;
  #movedAt = 0;
  #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#lose(new ScannerFailure("timeout", "called off"));
  /** Octets have come since it was last taken into use. */
  heard = false;
  /** Called once, when it is over. */
  onClose: (() => void) | undefined;

  private constructor(clock: Clock, patience: Patience) {
    this.#clock = clock;
    this.#patience = patience;
    const buffer = Buffer.allocUnsafe(64 * 1024);
    this.#socket = new StubbornSocket({
      // Not through the readable side, which drops what comes after an error.
      onread: { buffer, callback: (bytes) => this.#receive(buffer.subarray(0, bytes)) },
    });
    const socket = this.#socket;
    socket.setNoDelay(true);
    const onBroken = (): void => this.#break();
    socket.onBroken = onBroken;
    socket.on("drain", () => this.#moved());
    socket.on("error", (error) => this.#lose(lost(errorText(error), error)));
    socket.on("end", () => this.#lose(lost("the server closed the connection")));
    socket.on("close", () => this.#lose(lost("the connection is closed")));
  }

  /** Rejects with `ScannerFailure`: `down` when nobody is there, `timeout` when called off. */
  static open(address: IcapAddress, patience: Patience, signal: AbortSignal, clock: Clock): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection = new Connection(clock, patience);
      if (signal.aborted) return reject(new ScannerFailure("timeout", "called off"));
      const timer = clock.setTimer(() => connection.#lose(lost("no connection in time")), patience.connect);
      const settle = (call: () => void): void => {
        timer.cancel();
        signal.removeEventListener("abort", connection.#onAbort);
        connection.onClose = undefined;
        call();
      };
      signal.addEventListener("abort", connection.#onAbort, { once: true });
      const onClose = (): void => settle(() => reject(connection.#lost ?? lost("closed")));
      connection.onClose = onClose;
      connection.#socket.connect({ host: address.host, port: address.port }, () => settle(() => resolve(connection)));
    });
  }

  get open(): boolean {
    return this.#lost === undefined;
  }

  /** Whoever uses it now; from here on it must move. */
  use(signal: AbortSignal): void {
    this.#signal = signal;
    this.heard = false;
    if (signal.aborted) return this.#onAbort();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#movedAt = this.#clock.monotonic();
    this.#watch(this.#patience.answer);
  }

  /** At rest. False when it is fit for nothing more. */
  rest(): boolean {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#signal = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#broken || this.#received.length > 0 || this.#socket.writableLength > 0) this.close();
    return this.open;
  }

  /** False when nothing more can be written: only the answer is left to be read. Rejects when it is over. */
  async write(parts: readonly (string | Uint8Array)[]): Promise<boolean> {
    this.#check();
    if (this.#broken) return false;
    const socket = this.#socket;
    socket.cork();
    for (const part of parts) {
      if (typeof part === "string") socket.write(part, "latin1");
      else socket.write(part);
    }
    socket.uncork();
    if (socket.writableNeedDrain) await new Promise<void>((wake) => (this.#wakeWriter = wake));
    this.#check();
    return !this.#broken;
  }

  /** A line without its end. Rejects with `ScannerFailure` when it is longer than `most` octets. */
  async line(most: number): Promise<string> {
    for (let from = 0; ;) {
      const end = this.#received.indexOf(0x0a, from);
      if (end > most || (end < 0 && this.#received.length > most)) throw fault("a line without end");
      if (end >= 0) {
        const line = this.#received.toString("latin1", 0, end > 0 && this.#received[end - 1] === 0x0d ? end - 1 : end);
        this.#consume(end + 1);
        return line;
      }
      from = this.#received.length;
      await this.#more();
    }
  }

  /** The next octets, at least one and at most `most`; valid until the next call. */
  async octets(most: number): Promise<Buffer> {
    while (this.#received.length === 0) await this.#more();
    const octets = this.#received.subarray(0, most);
    this.#consume(octets.length);
    return octets;
  }

  /** Everything that comes of it is lost. */
  close(): void {
    this.#lose(lost("closed by us"));
  }

  #consume(bytes: number): void {
    const wasFull = this.#received.length > mostAhead;
    this.#received = this.#received.subarray(bytes);
    if (wasFull && this.#received.length <= mostAhead) this.#socket.resume();
  }

  async #more(): Promise<void> {
    this.#check();
    const before = this.#received.length;
    await new Promise<void>((wake) => (this.#wakeReader = wake));
    // What came before the end is read first.
    if (this.#received.length === before) this.#check();
  }

  #check(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  #receive(octets: Buffer): boolean {
    this.heard = true;
    this.#received = Buffer.concat([this.#received, octets]);
    this.#movedAt = this.#clock.monotonic();
    // Nobody has asked for anything.
    if (this.#signal === undefined) this.close();
    this.#wakeReader?.();
    return this.#received.length <= mostAhead;
  }

  #moved(): void {
    this.#movedAt = this.#clock.monotonic();
    this.#wakeWriter?.();
  }

  #watch(delayMs: number): void {
    this.#timer = this.#clock.setTimer(() => {
      const left = this.#patience.answer - (this.#clock.monotonic() - this.#movedAt);
      if (left > 1) this.#watch(left);
      else this.#lose(new ScannerFailure("timeout", "ICAP: the server does not answer"));
    }, delayMs);
  }

  #break(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(
      () => this.#lose(lost("the server closed the connection without an answer")),
      lastWordsMs,
    );
    this.#wakeWriter?.();
  }

  #lose(failure: ScannerFailure): void {
    if (this.#lost !== undefined) return;
    this.#lost = failure;
    this.#timer?.cancel();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#socket.onBroken = undefined;
    this.#socket.destroy();
    this.#wakeReader?.();
    this.#wakeWriter?.();
    const { onClose } = this;
    this.onClose = undefined;
    onClose?.();
  }
}
