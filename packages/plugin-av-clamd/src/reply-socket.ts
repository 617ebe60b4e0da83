/**
 * A socket that goes on reading when a write failed. clamd says why it stops listening, closes, and leaves the sender with
 * EPIPE or ECONNRESET; Node would throw the answer away with the socket.
 */
import { Socket } from "node:net";

const brokenPipe: readonly unknown[] = ["EPIPE", "ECONNRESET"];

export class ReplySocket extends Socket {
  readonly #onBroken: () => void;
  #broken = false;

  /** `onRead` gets each piece of the answer as latin1; `onBroken` is told once that nothing more can be written. */
  constructor(onRead: (piece: string) => void, onBroken: () => void) {
    super({
      // Not through the readable side, which drops what comes after an error.
      onread: {
        buffer: Buffer.allocUnsafe(1024),
        callback(bytes, buffer) {
          onRead(Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString("latin1"));
          return true;
        },
      },
    });
    this.#onBroken = onBroken;
  }

  /** The end of what clamd said, which the stream keeps to itself when a write failed before. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    const more = super.push(chunk, encoding);
    if (chunk === null && this.#broken) super.destroy();
    return more;
  }

  override destroy(error?: Error): this {
    const { syscall, code } = (error ?? {}) as NodeJS.ErrnoException;
    if (syscall !== "write" || !brokenPipe.includes(code)) return super.destroy(error);
    if (!this.#broken) {
      this.#broken = true;
      this.#onBroken();
    }
    return this;
  }
}
