/** Octets that come in pieces, cut where the header section ends. */
import { ScannerFailure } from "@postern/core";

const crlf = Buffer.from("\r\n\r\n");
const lf = Buffer.from("\n\n");

export class SectionReader {
  readonly #limit: number;
  readonly #onBody: (piece: Buffer) => unknown;
  #section = Buffer.alloc(0);
  #complete = false;

  /** `onBody` gets what stands behind the blank line; `limit` is the longest section, in octets. */
  constructor(limit: number, onBody: (piece: Buffer) => unknown) {
    this.#limit = limit;
    this.#onBody = onBody;
  }

  /** With its blank line, when there is one. */
  get section(): Buffer {
    return this.#section;
  }

  write(piece: Buffer): unknown {
    if (this.#complete) return this.#onBody(piece);
    const octets = Buffer.concat([this.#section, piece]);
    const end = endOf(octets, Math.max(0, this.#section.length - 3));
    this.#section = end < 0 ? octets : octets.subarray(0, end);
    if (this.#section.length > this.#limit) {
      throw new ScannerFailure("error", `SpamAssassin's header section has more than ${this.#limit} octets`);
    }
    if (end < 0) return undefined;
    this.#complete = true;
    return end < octets.length ? this.#onBody(octets.subarray(end)) : undefined;
  }
}

function endOf(octets: Buffer, from: number): number {
  const [long, short] = [octets.indexOf(crlf, from), octets.indexOf(lf, from)];
  if (long < 0) return short < 0 ? -1 : short + lf.length;
  return short < 0 || long < short ? long + crlf.length : short + lf.length;
}
