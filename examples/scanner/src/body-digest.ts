/** SHA-256 of a message's body, of octets that come in any pieces. */
import { createHash } from "node:crypto";

const lineEnd = "\r\n";
const blankLine = lineEnd + lineEnd;

export class BodyDigest {
  readonly #hash = createHash("sha256");
  /** The end of the header so far, as the blank line may lie across two pieces; `undefined` in the body. */
  #tail: Buffer | undefined = Buffer.from(lineEnd);

  add(piece: Buffer): void {
    if (this.#tail === undefined) {
      this.#hash.update(piece);
      return;
    }
    const text = Buffer.concat([this.#tail, piece]);
    const end = text.indexOf(blankLine);
    this.#tail = end < 0 ? text.subarray(1 - blankLine.length) : undefined;
    if (end >= 0) this.#hash.update(text.subarray(end + blankLine.length));
  }

  /** Once, at the end. */
  hex(): string {
    return this.#hash.digest("hex");
  }
}
