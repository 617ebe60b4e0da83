/** A sink's input, octet-exact: lines, counted octets, and dot-stuffed content (RFC 5321 §4.5.2). */
import type { Duplex } from "node:stream";

const finalDot = Buffer.from("\r\n.\r\n");

export class SinkInput {
  readonly #stream: Duplex;
  #got = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #onData = (data: Buffer): void => {
    this.#got = Buffer.concat([this.#got, data]);
    this.#wake?.();
  };
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", this.#onData);
    stream.on("end", this.#onEnd);
    stream.on("close", this.#onEnd);
  }

  /** Reads no more: somebody else takes the stream. */
  detach(): void {
    this.#stream.off("data", this.#onData);
    this.#stream.pause();
  }

  /** A line without its CRLF or LF; `undefined` at the end. */
  async line(): Promise<string | undefined> {
    const end = await this.#until(() => this.#got.indexOf("\n"));
    return end === undefined
      ? undefined
      : this.#take(end + 1)
          .toString("latin1")
          .replace(/\r?\n$/, "");
  }

  async octets(count: number): Promise<Buffer | undefined> {
    const end = await this.#until(() => (this.#got.length >= count ? count : -1));
    return end === undefined ? undefined : this.#take(end);
  }

  /** Up to the final dot, which is taken too; stuffed dots removed. */
  async dotted(): Promise<Buffer | undefined> {
    const empty = (): boolean => this.#got.subarray(0, 3).equals(finalDot.subarray(2));
    const end = await this.#until(() => (empty() ? 0 : this.#got.indexOf(finalDot)));
    if (end === undefined) return undefined;
    if (empty()) return this.#take(3).subarray(0, 0);
    const stuffed = this.#take(end + finalDot.length).subarray(0, end + 2);
    return Buffer.from(stuffed.toString("latin1").replace(/(^|\r\n)\.\./g, "$1."), "latin1");
  }

  async #until(find: () => number): Promise<number | undefined> {
    for (;;) {
      const at = find();
      if (at >= 0) return at;
      if (this.#ended) return undefined;
      await new Promise<void>((wake) => (this.#wake = wake));
    }
  }

  #take(count: number): Buffer {
    const taken = this.#got.subarray(0, count);
    this.#got = this.#got.subarray(count);
    return taken;
  }
}
