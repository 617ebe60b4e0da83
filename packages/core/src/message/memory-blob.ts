/** A blob whose octets are all in memory. */
import { clampRange, type Blob } from "./blob.ts";

class MemoryBlob implements Blob {
  readonly chunks: readonly Buffer[];
  readonly sizeBytes: number;

  constructor(chunks: readonly Buffer[], sizeBytes: number) {
    this.chunks = chunks;
    this.sizeBytes = sizeBytes;
  }

  async *read(start?: number, end?: number): AsyncGenerator<Buffer> {
    yield* this.#parts(start, end);
  }

  slice(start: number, end?: number): Blob {
    return createMemoryBlob(this.#parts(start, end));
  }

  #parts(from?: number, to?: number): readonly Buffer[] {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    if (start === 0 && end === this.sizeBytes) return this.chunks;
    const parts: Buffer[] = [];
    let offset = 0;
    for (const chunk of this.chunks) {
      if (offset >= end) break;
      const next = offset + chunk.length;
      if (next > start) parts.push(chunk.subarray(Math.max(start - offset, 0), Math.min(end - offset, chunk.length)));
      offset = next;
    }
    return parts;
  }
}

/** Holds the chunks as they are: nobody may write to them any more. */
export function createMemoryBlob(chunks: readonly Buffer[]): Blob {
  let sizeBytes = 0;
  for (const chunk of chunks) sizeBytes += chunk.length;
  return new MemoryBlob(chunks, sizeBytes);
}
