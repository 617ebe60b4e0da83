/** A stream of octets in pieces of any size, cut into whole messages. */
import { endOfMessage } from "./answer.ts";

export class Framing {
  readonly #longest: number;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Octets that must be there before it is worth looking again. */
  #needed = 0;

  /** `longest`: octets of one message. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** Whether part of a message waits for its rest. */
  get holds(): boolean {
    return this.#held > 0;
  }

  /** The messages that are whole now. Throws `ProtocolError`. */
  *take(piece: Buffer): Generator<Buffer> {
    this.#pieces.push(piece);
    this.#held += piece.length;
    if (this.#held < this.#needed) return;
    const bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces);
    let start = 0;
    let end: number | undefined;
    for (;;) {
      end = endOfMessage(bytes, start, this.#longest);
      if (end === undefined || end > bytes.length) break;
      yield bytes.subarray(start, end);
      start = end;
    }
    this.#pieces = start === bytes.length ? [] : [bytes.subarray(start)];
    this.#held = bytes.length - start;
    this.#needed = end === undefined ? 0 : end - start;
  }
}
