/**
 * Blobs of which it is known that every CR and LF in them belongs to a CR LF, so that they may stand as a message's body. A blob in a file
 * cannot be looked through while everybody waits: it is made sound while it is written, by a spool of `createSoundSpool`.
 */
import { after } from "../model/maybe-promise.ts";
import type { Blob } from "./blob.ts";
import { LineEndingNormalizer, normalizeLineEnds } from "./line-ends.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Spool } from "./spool.ts";

const known = new WeakSet<Blob>();

/** The same octets with sound line ends, or `undefined` for a blob that is neither in memory nor known to be sound. */
export function toSoundBlob(body: Uint8Array | Blob): Blob | undefined {
  if (body instanceof Uint8Array) return remember(createMemoryBlob([normalizeLineEnds(body)]));
  if (known.has(body)) return body;
  const { chunks } = body;
  if (!Array.isArray(chunks) || !chunks.every((chunk) => chunk instanceof Uint8Array)) return undefined;
  const normalizer = new LineEndingNormalizer();
  const sound = chunks.map((chunk: Uint8Array) =>
    normalizer.normalize(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)),
  );
  const held = normalizer.end();
  if (held !== undefined) sound.push(held);
  return remember(createMemoryBlob(sound));
}

/** A spool that makes CR LF of every bare CR and LF written to it, so that its blob can replace a body. */
export function createSoundSpool(spool: Spool): Spool {
  const normalizer = new LineEndingNormalizer();
  return {
    get sizeBytes() {
      return spool.sizeBytes;
    },
    get overflowed() {
      return spool.overflowed;
    },
    write: (chunk) => spool.write(normalizer.normalize(chunk)),
    end() {
      const held = normalizer.end();
      const written = held === undefined ? true : spool.write(held);
      return after(written, () => after(spool.end(), (blob) => (blob === undefined ? undefined : remember(blob))));
    },
    dispose: () => spool.dispose(),
  };
}

function remember(blob: Blob): Blob {
  known.add(blob);
  return blob;
}
