/** Octets that can be read again: in memory as a list of chunks, or in a spool file. */
import type { SpoolFile } from "./spool-file.ts";

export interface Blob {
  readonly sizeBytes: number;
  /** The chunks when all are in memory, else `undefined`. Not to be written to. */
  readonly chunks: readonly Buffer[] | undefined;
  /** The leading octets that are in memory when not all are, so that header fields can be read without I/O. */
  readonly head?: readonly Buffer[];
  /** When there is one, `head` and then this file from `from` to its end are all of it: who owns the file need not copy it. */
  readonly tail?: BlobTail | undefined;
  /** Reads from `start` (inclusive) to `end` (exclusive), by default all of it, in pieces of at most 256 KiB from a file. */
  read(start?: number, end?: number): AsyncIterable<Buffer>;
  /** A part of it, sharing the octets. */
  slice(start: number, end?: number): Blob;
}

export interface BlobTail {
  readonly file: SpoolFile;
  readonly from: number;
}

/** A range as `Blob.read` and `slice` take it, brought inside `0…size`. */
export function clampRange(sizeBytes: number, start = 0, end = sizeBytes): { start: number; end: number } {
  const from = Math.min(Math.max(start, 0), sizeBytes);
  return { start: from, end: Math.min(Math.max(end, from), sizeBytes) };
}
