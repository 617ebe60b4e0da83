/** Blobs one after the other, without copying: new header fields before a spool file, a replaced body behind old fields. */
import { clampRange, type Blob, type BlobTail } from "./blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";

/** At least one of its parts is not in memory. */
class ConcatenatedBlob implements Blob {
  readonly chunks = undefined;
  readonly head: readonly Buffer[];
  readonly tail: BlobTail | undefined;
  readonly sizeBytes: number;
  readonly #parts: readonly Blob[];

  constructor(parts: readonly Blob[]) {
    this.#parts = parts;
    this.sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    this.head = headOf(parts);
    this.tail = tailOf(parts);
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    for (const part of this.#partsWithin(from, to)) yield* part.read();
  }

  slice(from: number, to?: number): Blob {
    return concatBlobs(this.#partsWithin(from, to));
  }

  #partsWithin(from?: number, to?: number): readonly Blob[] {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    const parts: Blob[] = [];
    let offset = 0;
    for (const part of this.#parts) {
      const next = offset + part.sizeBytes;
      if (next > start && offset < end) parts.push(part.slice(Math.max(start - offset, 0), end - offset));
      offset = next;
    }
    return parts;
  }

  /** For flattening, so that a chain of edits does not become a chain of blobs. */
  static partsOf(blob: Blob): readonly Blob[] {
    return blob instanceof ConcatenatedBlob ? blob.#parts : [blob];
  }
}

function headOf(parts: readonly Blob[]): readonly Buffer[] {
  const head: Buffer[] = [];
  for (const part of parts) {
    for (const chunk of part.chunks ?? part.head ?? []) head.push(chunk);
    if (part.chunks === undefined) break;
  }
  return head;
}

/** Of a blob that ends in a file and is in memory before it. */
function tailOf(parts: readonly Blob[]): BlobTail | undefined {
  const last = parts.length - 1;
  return parts.every((part, at) => at === last || part.chunks !== undefined) ? parts[last]?.tail : undefined;
}

export function concatBlobs(blobs: readonly Blob[]): Blob {
  const parts: Blob[] = [];
  let memory: Buffer[] = [];
  const flush = () => {
    if (memory.length > 0) parts.push(createMemoryBlob(memory));
    memory = [];
  };
  for (const part of blobs.flatMap((blob) => ConcatenatedBlob.partsOf(blob))) {
    if (part.sizeBytes === 0) continue;
    if (part.chunks === undefined) {
      flush();
      parts.push(part);
    } else {
      // No spread into push(): a large message has more chunks than a call may have arguments.
      for (const chunk of part.chunks) memory.push(chunk);
    }
  }
  if (parts.length === 0) return createMemoryBlob(memory);
  flush();
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : new ConcatenatedBlob(parts);
}
