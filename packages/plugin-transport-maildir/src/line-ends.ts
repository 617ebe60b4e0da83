/** Mail programs expect the lines of a file in a Maildir to end as the system's own: LF. */

/** CRLF becomes LF, over the borders of chunks too. A bare CR or LF stays. */
export class LineEndConversion {
  /** The last chunk ended with a CR, of which nobody knows yet whether an LF follows. */
  #heldCr = false;

  push(chunk: Buffer): Buffer {
    if (chunk.length === 0) return chunk;
    const text = (this.#heldCr ? "\r" : "") + chunk.toString("latin1");
    this.#heldCr = text.endsWith("\r");
    const whole = this.#heldCr ? text.slice(0, -1) : text;
    return Buffer.from(whole.replaceAll("\r\n", "\n"), "latin1");
  }

  /** What is left when no chunk follows. */
  end(): Buffer {
    return Buffer.from(this.#heldCr ? "\r" : "");
  }
}
