/** Very many changes of a body as fewer and larger ones: an answer holds a bounded number of them. */
import type { Blob, Edit } from "@postern/core";

export type Splice = Extract<Edit, { readonly kind: "spliceBody" }>;

const mostSplices = 5_000;
/** Octets between two changes that are taken up into one. */
const widestGap = 8 * 1024;

/** The splices in order; at once when they are few. Rejects as the body's `read` does. */
export function mergeSplices(body: Blob, splices: readonly Splice[]): readonly Splice[] | Promise<readonly Splice[]> {
  return splices.length <= mostSplices ? splices : merge(body, splices);
}

async function merge(body: Blob, splices: readonly Splice[]): Promise<readonly Splice[]> {
  const merged: Splice[] = [];
  let start = 0;
  let end = 0;
  let octets: Uint8Array[] = [];
  const flush = (): void => {
    if (octets.length > 0) merged.push({ kind: "spliceBody", start, end, octets: Buffer.concat(octets) });
    octets = [];
  };
  for (const splice of splices) {
    if (octets.length > 0 && splice.start - end <= widestGap) {
      for await (const piece of body.read(end, splice.start)) octets.push(piece);
    } else {
      flush();
      start = splice.start;
    }
    octets.push(splice.octets);
    end = splice.end;
  }
  flush();
  return merged;
}
