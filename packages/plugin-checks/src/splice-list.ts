/**
 * Changes of a body as they are found from its beginning to its end, in bounded memory: lines next to each other become one change at once,
 * and very many changes become fewer and larger ones in the end, since an answer holds a bounded number of them.
 */
import { ScannerFailure, type Blob, type Edit, type MaybePromise } from "@postern/core";

export type Splice = Extract<Edit, { readonly kind: "spliceBody" }>;

interface Change {
  readonly start: number;
  end: number;
  readonly octets: Uint8Array[];
}

/** Changes that are left as they are. */
const fewSplices = 5_000;
const mostChanges = 100_000;
/** New octets, and old ones between two changes that are taken up into one. */
const mostBytes = 16 * 1024 * 1024;
const widestGap = 8 * 1024;
/** What a buffer costs beside its octets. */
const bufferBytes = 64;

export class SpliceList {
  readonly #changes: Change[] = [];
  #bytes = 0;

  /** Behind all others. Throws `ScannerFailure` when it is too much. */
  add(start: number, end: number, octets: Uint8Array): void {
    if (octets.length > 0) this.#count(octets);
    const last = this.#changes.at(-1);
    if (last !== undefined && start === last.end) {
      last.end = end;
      if (octets.length > 0) last.octets.push(octets);
      return;
    }
    if (this.#changes.length >= mostChanges) throw tooMany(`${mostChanges} changes of a body`);
    this.#changes.push({ start, end, octets: octets.length > 0 ? [octets] : [] });
  }

  /** In order; at once when they are few. Rejects as the body's `read` does, and with `ScannerFailure`. */
  splices(body: Blob): MaybePromise<readonly Splice[]> {
    return this.#changes.length <= fewSplices ? this.#changes.map(toSplice) : this.#merged(body);
  }

  async #merged(body: Blob): Promise<readonly Splice[]> {
    const merged: Change[] = [];
    let last: Change | undefined;
    for (const { start, end, octets } of this.#changes) {
      if (last !== undefined && start - last.end <= widestGap) {
        for await (const piece of body.read(last.end, start)) {
          this.#count(piece);
          last.octets.push(piece);
        }
        last.end = end;
        for (const piece of octets) last.octets.push(piece);
      } else {
        last = { start, end, octets };
        merged.push(last);
      }
    }
    return merged.map(toSplice);
  }

  #count({ length }: Uint8Array): void {
    this.#bytes += length + bufferBytes;
    if (this.#bytes > mostBytes) throw tooMany(`${mostBytes} octets of memory for the changes of a body`);
  }
}

function toSplice({ start, end, octets }: Change): Splice {
  return { kind: "spliceBody", start, end, octets: Buffer.concat(octets) };
}

function tooMany(what: string): ScannerFailure {
  return new ScannerFailure("unscannable", `more than ${what}`);
}
