/** Octets that can be read again: in memory as a list of chunks, or in a spool file. */

export interface Blob {
  readonly sizeBytes: number;
  /** The chunks when all are in memory, else `undefined`. Not to be written to. */
  readonly chunks: readonly Buffer[] | undefined;
  /** Reads from `start` (inclusive) to `end` (exclusive), by default all of it, in pieces of at most 64 KiB from a file. */
  read(start?: number, end?: number): AsyncIterable<Buffer>;
  /** A part of it, sharing the octets. */
  slice(start: number, end?: number): Blob;
}
