/** Do two blobs hold the same octets? Those that share their memory are told without reading them. */
import type { Blob } from "../message/index.ts";
import type { MaybePromise } from "../model/index.ts";

/** Rejects as `read` does. */
export function sameOctets(one: Blob, other: Blob): MaybePromise<boolean> {
  if (one === other) return true;
  if (one.sizeBytes !== other.sizeBytes) return false;
  if (one.chunks !== undefined && other.chunks !== undefined) return sameChunks(one.chunks, other.chunks);
  return compare(one, other);
}

function sameChunks(one: readonly Buffer[], other: readonly Buffer[]): boolean {
  const left = new Pieces(one[Symbol.iterator]());
  const right = new Pieces(other[Symbol.iterator]());
  for (;;) {
    const a = left.current();
    const b = right.current();
    if (a === undefined || b === undefined) return a === b;
    if (!takeSame(left, right, a, b)) return false;
  }
}

async function compare(one: Blob, other: Blob): Promise<boolean> {
  const left = one.read()[Symbol.asyncIterator]();
  const right = other.read()[Symbol.asyncIterator]();
  try {
    const a = new Pieces([][Symbol.iterator]());
    const b = new Pieces([][Symbol.iterator]());
    for (;;) {
      for (const [pieces, source] of [
        [a, left],
        [b, right],
      ] as const) {
        while (pieces.current() === undefined) {
          const next = await source.next();
          if (next.done === true) break;
          pieces.push(next.value);
        }
      }
      const [first, second] = [a.current(), b.current()];
      if (first === undefined || second === undefined) return first === second;
      if (!takeSame(a, b, first, second)) return false;
    }
  } finally {
    await left.return?.();
    await right.return?.();
  }
}

/** The part of both that is there. */
function takeSame(left: Pieces, right: Pieces, a: Buffer, b: Buffer): boolean {
  const length = Math.min(a.length, b.length);
  const shared = a.buffer === b.buffer && a.byteOffset === b.byteOffset;
  if (!shared && a.compare(b, 0, length, 0, length) !== 0) return false;
  left.take(length);
  right.take(length);
  return true;
}

/** Pieces of octets, of which any number may be taken. */
class Pieces {
  readonly #source: Iterator<Buffer>;
  #piece: Buffer | undefined;

  constructor(source: Iterator<Buffer>) {
    this.#source = source;
  }

  push(piece: Buffer): void {
    this.#piece = piece;
  }

  current(): Buffer | undefined {
    while (this.#piece === undefined || this.#piece.length === 0) {
      const next = this.#source.next();
      if (next.done === true) return undefined;
      this.#piece = next.value;
    }
    return this.#piece;
  }

  take(octets: number): void {
    this.#piece = this.#piece?.subarray(octets);
  }
}
