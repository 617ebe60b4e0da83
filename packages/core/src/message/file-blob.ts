/** A blob that is a range of a file. The file's octets do not change while it lives. */
import { open } from "node:fs/promises";
import { PosternError } from "../errors.ts";
import { clampRange, type Blob, type BlobTail } from "./blob.ts";
import type { SpoolFile } from "./spool-file.ts";

const pieceBytes = 64 * 1024;

interface Readable {
  read(position: number, length: number): Promise<Buffer>;
  close?(): Promise<void>;
}

class FileBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly tail: BlobTail | undefined;
  readonly #source: string | SpoolFile;
  readonly #offset: number;

  constructor(source: string | SpoolFile, sizeBytes: number, offset: number, reachesEnd: boolean) {
    this.#source = source;
    this.sizeBytes = sizeBytes;
    this.#offset = offset;
    this.tail = typeof source === "object" && reachesEnd ? { file: source, from: offset } : undefined;
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    if (start === end) return;
    const source = this.#source;
    const file: Readable = typeof source === "string" ? await openNamed(source).catch(fail) : source;
    try {
      let position = this.#offset + start;
      const last = this.#offset + end;
      while (position < last) {
        const piece = await file.read(position, Math.min(pieceBytes, last - position)).catch(fail);
        if (piece.length === 0) throw new PosternError("STORE_UNAVAILABLE", "a file is shorter than it was written");
        position += piece.length;
        yield piece;
      }
    } finally {
      await file.close?.();
    }
  }

  slice(from: number, to?: number): Blob {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    const reachesEnd = this.tail !== undefined && end === this.sizeBytes;
    return new FileBlob(this.#source, end - start, this.#offset + start, reachesEnd);
  }
}

async function openNamed(path: string): Promise<Readable> {
  const handle = await open(path);
  return {
    async read(position, length) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    close: () => handle.close(),
  };
}

function fail(cause: unknown): never {
  throw new PosternError("STORE_UNAVAILABLE", `a spool file cannot be read: ${(cause as Error).message}`, { cause });
}

/** `sizeBytes` octets from `offset` of a file, opened anew by each `read`. Reading throws STORE_UNAVAILABLE. */
export function createFileBlob(path: string, sizeBytes: number, offset = 0): Blob {
  return new FileBlob(path, sizeBytes, offset, false);
}

/** The last `sizeBytes` octets of a spool file, which begin at `offset`. Readable until the file is disposed of. */
export function createSpoolBlob(file: SpoolFile, sizeBytes: number, offset: number): Blob {
  return new FileBlob(file, sizeBytes, offset, true);
}
