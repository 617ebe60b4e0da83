/**
 * One connection to a milter: packets out, responses in, one waiter at a time. Nothing is read ahead of the waiter beyond what one read
 * brought; what comes while nobody waits is kept, and makes the next command a fault: no response may ever be taken for another's.
 */
import { connect, type Socket } from "node:net";
import type { Clock, MaybePromise, ScannerFailure, Timer } from "@postern/core";
import { decodeResponse, PacketReader, type Packet, type Response } from "../protocol/index.ts";
import type { MilterAddress } from "./address.ts";
import { down, late, toTrouble } from "./trouble.ts";

/** Written and not yet taken by the system, before the writer is asked to wait. */
const mostUnsent = 256 * 1024;
/** What a milter may take to close after it was told to. */
const partingMs = 5_000;

const mostJoined = 4 * 1024;
/** The same for all: its stack says nothing. */
const sessionOver = down("the session is over");

interface Waiter {
  readonly resolve: (response: Response) => void;
  readonly reject: (error: ScannerFailure) => void;
  timer: Timer;
}

export class MilterConnection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #reader = new PacketReader();
  readonly #packets: Packet[] = [];
  #waiter: Waiter | undefined;
  #draining: { resolve: () => void; reject: (error: ScannerFailure) => void; timer: Timer } | undefined;
  #trouble: ScannerFailure | undefined;
  #parting: Timer | undefined;
  /** Told once when it is over or no longer in step, while nobody waits. */
  onEnd: (() => void) | undefined;
  /** Told once when its socket is gone. */
  onClose: (() => void) | undefined;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (cause: NodeJS.ErrnoException) =>
      this.#end(down(`the connection broke (${cause.code ?? cause.message})`, cause)),
    );
    socket.on("end", () => this.#closed());
    socket.on("close", () => {
      this.#closed();
      this.onClose?.();
      this.onClose = undefined;
    });
  }

  /** Rejects with `ScannerFailure`. */
  static open(address: MilterAddress, clock: Clock, timeoutMs: number): Promise<MilterConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...address, noDelay: true });
      const fail = (error: ScannerFailure): void => {
        timer.cancel();
        socket.destroy();
        reject(error);
      };
      const timer = clock.setTimer(() => fail(late(`no connection within ${timeoutMs} ms`)), timeoutMs);
      const refused = (cause: NodeJS.ErrnoException): void =>
        fail(down(`it cannot be reached (${cause.code ?? cause.message})`, cause));
      socket.once("error", refused);
      socket.once("connect", () => {
        timer.cancel();
        const connection = new MilterConnection(socket, clock);
        socket.off("error", refused);
        resolve(connection);
      });
    });
  }

  get usable(): boolean {
    return this.#trouble === undefined;
  }

  /** Nothing has come that nobody asked for. */
  get isInStep(): boolean {
    return this.usable && this.#waiter === undefined && this.#packets.length === 0 && this.#reader.isBetween;
  }

  write(octets: readonly Uint8Array[]): void {
    if (!this.usable) return;
    // Small packets are cheaper joined than listed to the system.
    if (octets.length > 1 && octets.every(({ length }) => length < mostJoined)) {
      this.#socket.write(Buffer.concat(octets));
      return;
    }
    this.#socket.cork();
    for (const part of octets) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Waits while too much is unsent. Rejects with `ScannerFailure`. */
  pressure(timeoutMs: number): MaybePromise<void> {
    if (this.#trouble !== undefined) return Promise.reject(this.#trouble);
    if (this.#socket.writableLength < mostUnsent) return undefined;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(() => this.destroy(late(`nothing taken for ${timeoutMs} ms`)), timeoutMs);
      this.#draining = { resolve, reject, timer };
    });
  }

  /** The next response. Rejects with `ScannerFailure`; the connection is over then. `givenMs`: all that it had, of which this is the rest. */
  next(timeoutMs: number, givenMs = timeoutMs): MaybePromise<Response> {
    const packet = this.#packets.shift();
    if (packet !== undefined) {
      if (this.#packets.length === 0) this.#socket.resume();
      try {
        return decodeResponse(packet);
      } catch (error) {
        this.destroy(toTrouble(error));
      }
    }
    if (this.#trouble !== undefined) return Promise.reject(this.#trouble);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject, timer: this.#timeOut(timeoutMs, givenMs) };
    });
  }

  /** Who waits now waits no longer than this. */
  hurry(timeoutMs: number): void {
    if (this.#waiter === undefined) return;
    this.#waiter.timer.cancel();
    this.#waiter.timer = this.#timeOut(timeoutMs);
  }

  /** Says a last word and goes, politely: the milter closes, or is closed after a while. */
  part(lastWords: readonly Uint8Array[]): void {
    if (!this.usable) return;
    this.write(lastWords);
    this.#parting = this.#clock.setTimer(() => this.#socket.destroy(), partingMs);
    this.#end(sessionOver, false);
    this.#socket.resume();
    this.#socket.end();
  }

  destroy(trouble: ScannerFailure = sessionOver): void {
    this.#end(trouble);
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.usable) this.#end(down("it closed the connection"));
    else this.#end(sessionOver);
  }

  #timeOut(timeoutMs: number, givenMs = timeoutMs): Timer {
    return this.#clock.setTimer(() => this.destroy(late(`no answer within ${givenMs} ms`)), timeoutMs);
  }

  #receive(chunk: Buffer): void {
    if (!this.usable) return;
    try {
      this.#packets.push(...this.#reader.push(chunk));
    } catch (error) {
      this.destroy(toTrouble(error));
      return;
    }
    if (this.#packets.length === 0) return;
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#socket.pause();
      this.onEnd?.();
      return;
    }
    this.#waiter = undefined;
    waiter.timer.cancel();
    const packet = this.#packets.shift() as Packet;
    if (this.#packets.length > 0) this.#socket.pause();
    try {
      waiter.resolve(decodeResponse(packet));
    } catch (error) {
      const trouble = toTrouble(error);
      this.destroy(trouble);
      waiter.reject(trouble);
    }
  }

  #drained(): void {
    const draining = this.#draining;
    this.#draining = undefined;
    draining?.timer.cancel();
    draining?.resolve();
  }

  #end(trouble: ScannerFailure, destroys = true): void {
    if (destroys) {
      this.#parting?.cancel();
      this.#socket.destroy();
    }
    if (this.#trouble !== undefined) return;
    this.#trouble = trouble;
    const { onEnd } = this;
    this.onEnd = undefined;
    for (const waiting of [this.#waiter, this.#draining]) {
      waiting?.timer.cancel();
      waiting?.reject(trouble);
    }
    this.#waiter = undefined;
    this.#draining = undefined;
    onEnd?.();
  }
}
