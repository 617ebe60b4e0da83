/**
 * A body with pieces of it replaced: any number of them in time and memory of their own size, the rest shared. Where a piece is put
 * between a CR and its LF, or one of the two is taken away, what is left becomes CR LF, so that no half of a line end remains.
 */
import { after, type MaybePromise } from "../model/maybe-promise.ts";
import { BlockReader } from "./block-reader.ts";
import { clampRange, type Blob } from "./blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";

export interface BodySplice {
  readonly start: number;
  readonly end: number;
  /** With sound line ends. */
  readonly octets: Buffer;
}

/** A range of the old body. */
interface Kept {
  readonly start: number;
  readonly end: number;
}

type Piece = Kept | Buffer;

const cr = 0x0d;
const lf = 0x0a;
const lineFeed = Buffer.from("\n", "latin1");
const carriageReturn = Buffer.from("\r", "latin1");
/** More pieces than this in memory are put together: a list of tiny buffers costs more than their octets. */
const mostChunks = 64;
/** Small pieces are put together up to this size as they are read. */
const gatheredBytes = 64 * 1024;

/** At once for a body in memory. Rejects as the body's `read` does. */
export function spliceBlob(body: Blob, splices: readonly BodySplice[]): MaybePromise<Blob> {
  const ordered = inOrder(body.sizeBytes, splices);
  if (ordered.length === 0) return body;
  const seams = ordered.flatMap(({ start, end }) => [start - 1, end]);
  const { chunks } = body;
  if (chunks !== undefined) {
    const pieces = join(body.sizeBytes, ordered, octetsOf(chunks, seams));
    const parts = chunksOf(chunks, pieces);
    return createMemoryBlob(parts.length > mostChunks ? [Buffer.concat(parts)] : parts);
  }
  return after(readOctets(body, seams), (octets) => new SplicedBlob(body, join(body.sizeBytes, ordered, octets)));
}

/** By place, inside the body; what two of them take out the first one does. Those at one place stay in their order. */
function inOrder(sizeBytes: number, splices: readonly BodySplice[]): readonly BodySplice[] {
  const inside = splices.map(({ start, end, octets }) => ({ ...clampRange(sizeBytes, start, end), octets }));
  // An insertion stands above what is replaced at its place.
  inside.sort((a, b) => a.start - b.start || Number(a.end > a.start) - Number(b.end > b.start));
  let done = 0;
  return inside.flatMap(({ start, end, octets }) => {
    const from = Math.max(start, done);
    done = Math.max(end, done);
    const to = Math.max(end, from);
    return to === from && octets.length === 0 ? [] : [{ start: from, end: to, octets }];
  });
}

/** `seams`: the octets before and behind each splice, `undefined` outside the body. */
function join(sizeBytes: number, splices: readonly BodySplice[], seams: readonly (number | undefined)[]): Piece[] {
  const pieces: Piece[] = [];
  // The blank line before the body.
  let last: number | undefined = lf;
  const push = (piece: Piece, first: number | undefined, final: number | undefined): void => {
    if (last === cr && first !== lf) pieces.push(lineFeed);
    else if (first === lf && last !== cr) pieces.push(carriageReturn);
    pieces.push(piece);
    last = final;
  };
  let done = 0;
  let behind: number | undefined;
  splices.forEach(({ start, end, octets }, at) => {
    if (start > done) push({ start: done, end: start }, behind, seams[2 * at]);
    if (octets.length > 0) push(octets, octets[0], octets.at(-1));
    done = end;
    behind = seams[2 * at + 1];
  });
  if (done < sizeBytes) push({ start: done, end: sizeBytes }, behind, undefined);
  else if (last === cr) pieces.push(lineFeed);
  return pieces;
}

/** `offsets` ascend. */
function octetsOf(chunks: readonly Buffer[], offsets: readonly number[]): (number | undefined)[] {
  let at = 0;
  let before = 0;
  return offsets.map((offset) => {
    // The octet before a splice may lie before the one behind the last.
    while (at > 0 && offset < before) before -= chunks[--at]?.length ?? 0;
    while (at < chunks.length && offset >= before + (chunks[at]?.length ?? 0)) before += chunks[at++]?.length ?? 0;
    return chunks[at]?.[offset - before];
  });
}

async function readOctets(body: Blob, offsets: readonly number[]): Promise<(number | undefined)[]> {
  const reader = new BlockReader(body);
  const octets: (number | undefined)[] = [];
  for (const offset of offsets) {
    if (offset < 0 || offset >= body.sizeBytes) octets.push(undefined);
    else octets.push((reader.held(offset) ?? (await reader.from(offset)))[0]);
  }
  return octets;
}

/** Kept ranges ascend, so one walk finds all of them. */
function chunksOf(chunks: readonly Buffer[], pieces: readonly Piece[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  let before = 0;
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      parts.push(piece);
      continue;
    }
    for (let chunk = chunks[at]; chunk !== undefined && before < piece.end; chunk = chunks[at]) {
      const next = before + chunk.length;
      if (next > piece.start) {
        parts.push(chunk.subarray(Math.max(piece.start - before, 0), Math.min(piece.end - before, chunk.length)));
      }
      if (next > piece.end) break;
      before = next;
      at += 1;
    }
  }
  return parts;
}

/** Over a body that is not in memory. */
class SplicedBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly #body: Blob;
  readonly #pieces: readonly Piece[];
  /** Where each piece begins, of the whole. */
  readonly #offsets: readonly number[];
  /** Where this one begins in the whole. */
  readonly #from: number;

  constructor(body: Blob, pieces: readonly Piece[], offsets = offsetsOf(pieces), from = 0, to = offsets.at(-1) ?? 0) {
    this.#body = body;
    this.#pieces = pieces;
    this.#offsets = offsets;
    this.#from = from;
    this.sizeBytes = to - from;
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    const range = clampRange(this.sizeBytes, from, to);
    const start = this.#from + range.start;
    const end = this.#from + range.end;
    const reader = new BlockReader(this.#body);
    let gathered: Buffer[] = [];
    let bytes = 0;
    for (let at = this.#pieceAt(start); at < this.#pieces.length; at++) {
      const offset = this.#offsets[at] ?? 0;
      if (offset >= end) break;
      const piece = this.#pieces[at] as Piece;
      const first = Math.max(start - offset, 0);
      const last = Math.min(end - offset, sizeOf(piece));
      for (let done = first; done < last;) {
        const part: Buffer =
          piece instanceof Uint8Array
            ? piece.subarray(done, last)
            : (reader.held(piece.start + done) ?? (await reader.from(piece.start + done))).subarray(0, last - done);
        done += part.length;
        bytes += part.length;
        gathered.push(part);
        if (bytes >= gatheredBytes) {
          yield together(gathered);
          gathered = [];
          bytes = 0;
        }
      }
    }
    if (bytes > 0) yield together(gathered);
  }

  slice(from: number, to?: number): Blob {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    return new SplicedBlob(this.#body, this.#pieces, this.#offsets, this.#from + start, this.#from + end);
  }

  /** The last piece that begins at `offset` or before it. */
  #pieceAt(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

function together(parts: readonly Buffer[]): Buffer {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
}

function sizeOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
}

/** One more than there are pieces: the last is the size of all. */
function offsetsOf(pieces: readonly Piece[]): readonly number[] {
  let offset = 0;
  const offsets = pieces.map((piece) => {
    const begin = offset;
    offset += sizeOf(piece);
    return begin;
  });
  offsets.push(offset);
  return offsets;
}
