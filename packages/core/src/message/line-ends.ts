/** Line ends of content: everything in a message ends its lines with CR LF, and has neither of them alone (RFC 5321 §2.3.8). */

const alone = /\r(?!\n)|(?<!\r)\n/;

/** Every bare CR and LF becomes CR LF: behind us somebody may take one of them for the end of a line (SMTP smuggling). */
export function normalizeLineEnds(octets: Uint8Array): Buffer {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const text = buffer.toString("latin1");
  // A copy in either case: the edit's maker may go on writing to its array.
  return alone.test(text) ? Buffer.from(text.replace(/\r\n|\r|\n/g, "\r\n"), "latin1") : Buffer.from(buffer);
}

/** The same for content that arrives in pieces; a CR at the end of a piece is held back. */
export class LineEndingNormalizer {
  #afterCr = false;

  /** The piece with CRLF line ends: the same buffer when nothing was to do. */
  normalize(piece: Buffer): Buffer {
    const text = (this.#afterCr ? "\r" : "") + piece.toString("latin1", 0, piece.length);
    const held = text.endsWith("\r");
    const whole = held ? text.slice(0, -1) : text;
    const untouched = !this.#afterCr && !held && !alone.test(whole);
    this.#afterCr = held;
    return untouched ? piece : Buffer.from(whole.replace(/\r\n|\r|\n/g, "\r\n"), "latin1");
  }

  /** What is still held back, at the end of the content. */
  end(): Buffer | undefined {
    if (!this.#afterCr) return undefined;
    this.#afterCr = false;
    return Buffer.from("\r\n");
  }
}
