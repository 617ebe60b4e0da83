/** Messages as a scanner may meet them: in memory, in a file, and ones that are watched while they are read. */
import { openMessage, type Blob, type Message } from "@postern/core";

const lineEnd = Buffer.from("\r\n");

/** A blob that can only be read piece by piece, as that of a large message is. `onRead` is told before each piece. */
export class WatchedBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly #octets: Buffer;
  readonly #pieceBytes: number;
  readonly head: readonly Buffer[];
  readonly #onRead: () => unknown;

  constructor(
    octets: Buffer,
    pieceBytes: number,
    onRead: () => unknown = () => undefined,
    head: readonly Buffer[] = [],
  ) {
    this.head = head;
    this.sizeBytes = octets.length;
    this.#octets = octets;
    this.#pieceBytes = pieceBytes;
    this.#onRead = onRead;
  }

  async *read(start = 0, end = this.sizeBytes): AsyncGenerator<Buffer> {
    const last = Math.min(end, this.sizeBytes);
    for (let at = Math.max(start, 0); at < last; at += this.#pieceBytes) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#onRead();
      yield this.#octets.subarray(at, Math.min(at + this.#pieceBytes, last));
    }
  }

  slice(start: number, end = this.sizeBytes): Blob {
    return new WatchedBlob(this.#octets.subarray(start, end), this.#pieceBytes, this.#onRead);
  }
}

/** The same octets as those of a large message are: the header in memory, everything to be read. */
export async function spooledMessage(content: Buffer, onRead?: () => unknown): Promise<Message> {
  const blankLine = content.subarray(0, 2).equals(lineEnd) ? 0 : content.indexOf("\r\n\r\n") + 2;
  const head = content.subarray(0, blankLine === 1 ? content.length : blankLine + 2);
  const pieceBytes = Math.min(Math.max(Math.ceil(content.length / 16), 64), 64 * 1024);
  return openMessage(new WatchedBlob(content, pieceBytes, onRead, [head]));
}
