/** Octets of a blob from any place, read in blocks of which the last is held: who goes through it in order reads each block once. */
import { PosternError } from "../errors.ts";
import type { Blob } from "./blob.ts";

const blockBytes = 64 * 1024;

export class BlockReader {
  readonly #blob: Blob;
  #block: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(blob: Blob) {
    this.#blob = blob;
  }

  /** What is held from `offset` on, if anything is. */
  held(offset: number): Buffer | undefined {
    const at = offset - this.#start;
    return at >= 0 && at < this.#block.length ? this.#block.subarray(at) : undefined;
  }

  /** At least one octet from `offset`, which must be inside the blob, at most a block of them. */
  async from(offset: number): Promise<Buffer> {
    const held = this.held(offset);
    if (held !== undefined) return held;
    const start = offset - (offset % blockBytes);
    const pieces: Buffer[] = [];
    for await (const piece of this.#blob.read(start, start + blockBytes)) pieces.push(piece);
    const [first] = pieces;
    this.#block = pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces);
    this.#start = start;
    const found = this.held(offset);
    if (found === undefined) throw new PosternError("STORE_UNAVAILABLE", "a blob is shorter than it says");
    return found;
  }
}
