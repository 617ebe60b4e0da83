/**
 * An SMTP conversation after the handshake: octets out, replies in, in order (RFC 5321 §4.2, RFC 2920). It knows commands
 * only as lines and counts what is due; what they mean stands in `transaction.ts`.
 */
import type { Socket } from "node:net";
import type { Blob, Clock } from "@postern/core";
import { createDeadline, type Deadline } from "./deadline.ts";
import { createDotStuffing, type DotStuffing } from "./dot-stuffing.ts";
import { createReplyReader, type ServerReply } from "./server-reply.ts";

/** Why a conversation is over before its end. */
export class ConversationLost extends Error {
  readonly kind: "closed" | "timeout" | "protocol" | "aborted" | "content";

  constructor(kind: ConversationLost["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConversationLost";
    this.kind = kind;
  }
}

interface Waiter {
  resolve(reply: ServerReply): void;
  reject(lost: ConversationLost): void;
}

/** Up to this size a message is written in one piece: a copy is cheaper than a vector of small buffers. */
const smallMessage = 65_536;
/** Octets written before the peer's pace is asked for. */
const blockSize = 262_144;

export class Conversation {
  readonly #socket: Socket;
  readonly #deadline: Deadline;
  readonly #reader = createReplyReader();
  readonly #waiting: Waiter[] = [];
  /** Replies to pipelined commands that nobody has asked for yet. */
  readonly #unclaimed: ServerReply[] = [];
  /** Replies that the peer owes. */
  #due = 0;
  #lost: ConversationLost | undefined;
  #onDrain: { resolve(drained?: undefined): void; reject(lost: ConversationLost): void } | undefined;
  #inContent = false;
  /** Called once, when it is over. */
  onClose: (() => void) | undefined;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#deadline = createDeadline(clock, () => this.#lose("timeout", "the peer took too long"));
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("end", () => this.#lose("closed", "the peer closed the connection"));
    socket.on("close", () => this.#lose("closed", "the connection is closed"));
    socket.on("error", (error) => this.#lose("closed", error.message));
    socket.on("drain", () => this.#drained());
  }

  get open(): boolean {
    return this.#lost === undefined;
  }

  /** Nothing is owed, nothing unasked has come, and the peer has taken all: fit for another transaction. */
  get quiet(): boolean {
    return this.open && this.#due === 0 && this.#unclaimed.length === 0 && this.#socket.writableLength === 0;
  }

  /** Writes command lines, each with its CRLF; the peer owes `replies` for them. */
  write(lines: string, replies: number): void {
    if (this.#lost !== undefined) return;
    this.#due += replies;
    this.#socket.write(lines);
  }

  /** The next reply that is due. Rejects with `ConversationLost`. */
  reply(timeoutMs: number): Promise<ServerReply> {
    const early = this.#unclaimed.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    this.#deadline.set(timeoutMs);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  /**
   * Writes the content and the dot that ends it. Answers false when a reply came before its time: then there was no dot, and
   * the conversation is good for nothing but that reply. Rejects with `ConversationLost`; a content that could not be read to
   * its end is never ended with a dot. `committing` is called just before the dot is written.
   */
  async content(content: Blob, blockTimeoutMs: number, committing: () => void): Promise<boolean> {
    if (this.#lost !== undefined) throw this.#lost;
    const stuffing = createDotStuffing();
    this.#inContent = true;
    try {
      if (content.chunks === undefined || content.sizeBytes > smallMessage) {
        return await this.#writeLarge(content, stuffing, blockTimeoutMs, committing);
      }
      committing();
      this.#writeSmall(content.chunks, stuffing);
      return true;
    } finally {
      this.#inContent = false;
    }
  }

  #writeSmall(chunks: readonly Buffer[], stuffing: DotStuffing): void {
    const pieces: Buffer[] = [];
    for (const chunk of chunks) stuffing.stuff(chunk, pieces);
    pieces.push(stuffing.end());
    this.#due += 1;
    this.#socket.write(Buffer.concat(pieces));
  }

  async #writeLarge(content: Blob, stuffing: DotStuffing, timeoutMs: number, committing: () => void): Promise<boolean> {
    let pieces: Buffer[] = [];
    let size = 0;
    const flush = (): boolean => {
      this.#socket.cork();
      for (const piece of pieces) this.#socket.write(piece);
      this.#socket.uncork();
      pieces = [];
      size = 0;
      return this.#socket.writableNeedDrain;
    };
    try {
      for await (const chunk of content.chunks ?? content.read()) {
        stuffing.stuff(chunk, pieces);
        size += chunk.length;
        if (size >= blockSize && flush()) await this.#drain(timeoutMs);
        if (this.#unclaimed.length > 0) return false;
        if (this.#lost !== undefined) throw this.#lost;
      }
    } catch (error) {
      if (error instanceof ConversationLost) throw error;
      throw this.#lose("content", "the content could not be read", { cause: error });
    }
    committing();
    pieces.push(stuffing.end());
    this.#due += 1;
    if (flush()) await this.#drain(timeoutMs);
    return true;
  }

  #drain(timeoutMs: number): Promise<undefined> {
    // A peer that has said no while the content was read may take nothing more.
    if (this.#unclaimed.length > 0) return Promise.resolve(undefined);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    this.#deadline.set(timeoutMs);
    return new Promise((resolve, reject) => {
      this.#onDrain = { resolve, reject };
    });
  }

  #drained(): void {
    const waiter = this.#onDrain;
    if (waiter === undefined) return;
    this.#onDrain = undefined;
    this.#deadline.clear();
    waiter.resolve();
  }

  #receive(chunk: Buffer): void {
    if (this.#lost !== undefined) return;
    const fault = this.#reader.feed(chunk, (reply) => this.#accept(reply));
    if (fault !== undefined) this.#lose("protocol", `the peer sent ${fault}`);
  }

  #accept(reply: ServerReply): void {
    if (this.#lost !== undefined) return;
    if (this.#due === 0) {
      // Before the final dot a peer may say that it gives up; 421 may come at any time (RFC 5321 §3.8). All else is a peer
      // that counts differently from us, and no later reply of it could be believed.
      if (this.#inContent && reply.code >= 400 && this.#unclaimed.length === 0) {
        this.#unclaimed.push(reply);
        return this.#drained();
      }
      return void this.#lose(reply.code === 421 ? "closed" : "protocol", `unasked reply: ${reply.text}`);
    }
    this.#due -= 1;
    const waiter = this.#waiting.shift();
    if (waiter === undefined) {
      this.#unclaimed.push(reply);
      // An answer to the dot: what of the content the peer has not taken, it need not take any more.
      this.#drained();
    } else {
      this.#deadline.clear();
      waiter.resolve(reply);
    }
  }

  #lose(kind: ConversationLost["kind"], message: string, options?: ErrorOptions): ConversationLost {
    if (this.#lost !== undefined) return this.#lost;
    const lost = new ConversationLost(kind, message, options);
    this.#lost = lost;
    this.#deadline.stop();
    this.#socket.destroy();
    for (const waiter of this.#waiting.splice(0)) waiter.reject(lost);
    const onDrain = this.#onDrain;
    this.#onDrain = undefined;
    // A reply that came before the end says more than the end itself.
    if (this.#unclaimed.length > 0) onDrain?.resolve();
    else onDrain?.reject(lost);
    this.onClose?.();
    this.onClose = undefined;
    return lost;
  }

  /** At once; what was waited for is lost. */
  abort(): void {
    this.#lose("aborted", "the delivery was aborted");
  }

  /** QUIT, without waiting long for an answer. */
  quit(graceMs: number, clock: Clock): void {
    if (!this.quiet) return this.abort();
    this.#due += 1;
    this.#socket.end("QUIT\r\n");
    const timer = clock.setTimer(() => this.abort(), graceMs);
    const then = this.onClose;
    const onClose = (): void => {
      timer.cancel();
      then?.();
    };
    this.onClose = onClose;
  }
}
