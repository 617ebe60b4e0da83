/**
 * A socket of a mail server: packets in and out, one command after the other. What comes faster than it is answered waits in the socket;
 * while a message is judged the mail server hears that we are at work.
 */
import type { Socket } from "node:net";
import { isPromise, logText, type Blob, type Clock, type Timer } from "@postern/core";
import {
  decodeCommand,
  encodeResponse,
  mostDataOctets,
  PacketReader,
  ProtocolFault,
  type Command,
  type Packet,
} from "../protocol/index.ts";
import { leave, MilterSession, type Answer } from "./milter-session.ts";

export interface ConnectionParts {
  readonly clock: Clock;
  readonly session: MilterSession;
  /** A mail server that says nothing for so long is gone. */
  readonly idleMs: number;
  /** Between two signs of life while a message is judged. */
  readonly progressMs: number;
  /** Something is wrong with what came, or with us: the connection ends. */
  warn(why: string): void;
  onEnd(connection: MilterConnection): void;
}

/** Octets that may wait for an answer before the socket is left alone. */
const mostWaiting = 2 * 1024 * 1024;
/** What a packet costs beside its data: one without any is not for nothing. */
const packetCost = 256;
/** What a mail server may take to hear the last words. */
const lingerMs = 10_000;
/** Without other terms. */
const smallBody = { steps: 0 };
const progress = encodeResponse({ kind: "progress" });

export class MilterConnection {
  readonly #socket: Socket;
  readonly #parts: ConnectionParts;
  readonly #reader = new PacketReader();
  #waiting: Packet[] = [];
  #waitingOctets = 0;
  #answering = false;
  /** What was said is not taken: nothing is judged, the mail server has to act. */
  #sending = false;
  #over = false;
  #idle: Timer | undefined;
  #heardAt: number;
  #draining = false;
  /** The mail server has closed its side. */
  #heardEnd = false;

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.#heardAt = parts.clock.monotonic();
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#hear(chunk));
    socket.on("end", () => this.#ended());
    socket.on("error", () => this.destroy());
    socket.on("close", () => this.destroy());
    this.#watch();
  }

  /** Ends now, unless a message is under way; then with it. */
  drain(): void {
    this.#draining = true;
    if (!this.#answering && !this.#parts.session.busy) this.#leave();
  }

  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.#idle?.cancel();
    this.#waiting = [];
    this.#socket.destroy();
    this.#parts.session.close();
    this.#parts.onEnd(this);
  }

  #hear(chunk: Buffer): void {
    if (this.#over) return;
    this.#heardAt = this.#parts.clock.monotonic();
    try {
      for (const packet of this.#reader.push(chunk)) {
        this.#waiting.push(packet);
        this.#waitingOctets += packet.data.length + packetCost;
      }
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#answering && this.#waitingOctets > mostWaiting) this.#socket.pause();
    this.#go();
  }

  /** A mail server that has said all it wanted gets what it still waits for. */
  #ended(): void {
    this.#heardEnd = true;
    if (!this.#answering && this.#waiting.length === 0) return this.destroy();
    // It cannot hear how its message fares: nothing is to be judged for nobody.
    if (this.#parts.session.busy) this.destroy();
  }

  #go(): void {
    while (!this.#answering && !this.#over) {
      const packet = this.#waiting.shift();
      if (packet === undefined) break;
      this.#waitingOctets -= packet.data.length + packetCost;
      try {
        const command = decodeCommand(packet);
        const answer = this.#parts.session.handle(command);
        if (!isPromise(answer)) {
          const sent = this.#send(answer);
          if (sent !== undefined) this.#await(sent);
        } else this.#await(this.#later(command, answer));
      } catch (error) {
        return this.#fail(error);
      }
    }
    if (this.#over || this.#answering) return;
    if (this.#socket.isPaused()) this.#socket.resume();
    if (this.#heardEnd || (this.#draining && !this.#parts.session.busy)) this.#leave();
  }

  #await(done: Promise<void>): void {
    this.#answering = true;
    done.then(
      () => {
        this.#answering = false;
        this.#heardAt = this.#parts.clock.monotonic();
        this.#go();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  async #later(command: Command, answer: Promise<Answer | typeof leave>): Promise<void> {
    const life = command.kind === "endOfMessage" ? this.#tellProgress() : undefined;
    try {
      const answered = await answer;
      life?.cancel();
      await this.#send(answered);
    } finally {
      life?.cancel();
    }
  }

  #tellProgress(): Timer {
    const { clock, progressMs } = this.#parts;
    let timer = clock.setTimer(tell, progressMs);
    const socket = this.#socket;
    function tell(): void {
      if (!socket.destroyed) socket.write(progress);
      timer = clock.setTimer(tell, progressMs);
    }
    return { cancel: () => timer.cancel() };
  }

  #send(answer: Answer | typeof leave): Promise<void> | undefined {
    if (this.#over) return undefined;
    if (answer === leave) return this.#leave();
    const { responses, body } = answer;
    if (responses.length === 0) return undefined;
    if (body !== undefined) return this.#sendWithBody(answer, body);
    const octets = responses.map(encodeResponse);
    const isTaken = this.#socket.write(octets.length === 1 ? (octets[0] as Buffer) : Buffer.concat(octets));
    return isTaken ? undefined : this.#drained();
  }

  async #sendWithBody({ responses }: Answer, body: Blob): Promise<void> {
    const longest = mostDataOctets(smallBody);
    for (const response of responses.slice(0, -1)) this.#socket.write(encodeResponse(response));
    let isEmpty = true;
    for await (const piece of body.read()) {
      for (let at = 0; at < piece.length; at += longest) {
        isEmpty = false;
        const octets = piece.subarray(at, at + longest);
        if (!this.#socket.write(encodeResponse({ kind: "replaceBody", octets }))) await this.#drained();
        if (this.#over) return;
      }
    }
    if (isEmpty) this.#socket.write(encodeResponse({ kind: "replaceBody", octets: Buffer.alloc(0) }));
    for (const response of responses.slice(-1)) this.#socket.write(encodeResponse(response));
  }

  /** With what is still on its way out. */
  #leave(): undefined {
    if (this.#over) return;
    this.#over = true;
    this.#idle?.cancel();
    this.#waiting = [];
    const late = this.#parts.clock.setTimer(() => this.#socket.destroy(), lingerMs);
    this.#socket.once("close", () => late.cancel());
    this.#socket.destroySoon();
    this.#parts.session.close();
    this.#parts.onEnd(this);
  }

  #drained(): Promise<void> {
    const socket = this.#socket;
    if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve();
    this.#heardAt = this.#parts.clock.monotonic();
    this.#sending = true;
    return new Promise((resolve) => {
      const go = (): void => {
        this.#sending = false;
        socket.off("drain", go);
        socket.off("close", go);
        resolve();
      };
      socket.on("drain", go);
      socket.on("close", go);
    });
  }

  /** Nothing of a connection whose octets make no sense can be used; the mail server does what it does without us. */
  #fail(error: unknown): void {
    if (this.#over) return;
    const { message } = error as Error;
    this.#parts.warn(error instanceof ProtocolFault ? message : logText(`${(error as Error).name}: ${message}`, 200));
    this.destroy();
  }

  #watch(): void {
    const { clock, idleMs } = this.#parts;
    const look = (): void => {
      const left = this.#heardAt + idleMs - clock.monotonic();
      if (this.#over) return;
      if (left <= 0 && (!this.#answering || this.#sending)) {
        this.#parts.warn(this.#sending ? "nothing was taken for too long" : "nothing was said for too long");
        return this.destroy();
      }
      this.#idle = clock.setTimer(look, Math.max(left, 1_000));
    };
    this.#idle = clock.setTimer(look, idleMs);
  }
}
