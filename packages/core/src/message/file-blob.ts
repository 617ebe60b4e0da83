/** A blob that is a range of a file. The file's octets do not change while it lives. */
import { open, type FileHandle } from "node:fs/promises";
import { PosternError } from "../errors.ts";
import { clampRange, type Blob } from "./blob.ts";

const pieceBytes = 64 * 1024;

class FileBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly #source: string | FileHandle;
  readonly #offset: number;

  constructor(source: string | FileHandle, sizeBytes: number, offset: number) {
    this.#source = source;
    this.sizeBytes = sizeBytes;
    this.#offset = offset;
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    if (start === end) return;
    const own = typeof this.#source === "string" ? await open(this.#source).catch(fail) : undefined;
    try {
      const handle = own ?? (this.#source as FileHandle);
      let position = this.#offset + start;
      const last = this.#offset + end;
      while (position < last) {
        const piece = Buffer.allocUnsafe(Math.min(pieceBytes, last - position));
        const { bytesRead } = await handle.read(piece, 0, piece.length, position).catch(fail);
        if (bytesRead === 0) throw new PosternError("STORE_UNAVAILABLE", "a spool file is shorter than it was written");
        position += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    } finally {
      await own?.close();
    }
  }

  slice(from: number, to?: number): Blob {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    return new FileBlob(this.#source, end - start, this.#offset + start);
  }
}

function fail(cause: unknown): never {
  throw new PosternError("STORE_UNAVAILABLE", `a spool file cannot be read: ${(cause as Error).message}`, { cause });
}

/**
 * `sizeBytes` octets from `offset` of a file. A name is opened anew by each `read`; a handle is the caller's, who closes it
 * when nobody reads any more. Reading throws STORE_UNAVAILABLE.
 */
export function createFileBlob(source: string | FileHandle, sizeBytes: number, offset = 0): Blob {
  return new FileBlob(source, sizeBytes, offset);
}
