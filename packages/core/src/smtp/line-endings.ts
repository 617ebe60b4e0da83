/**
 * Line endings of message content (RFC 5321 §2.3.8): CR and LF appear only together. What else comes is refused or made CRLF
 * here, at ingress, so that no later hop can see a line where we saw none (SMTP smuggling).
 */
import { octets as searchModule } from "./line-ends.wasm.ts";
import { instantiate } from "./web-assembly.ts";

/** What is wrong with the octets of a message. The first fault found stands. */
export type ContentFault = "bareLf" | "bareCr" | "nul";

export type LineEndingPolicy = "reject" | "normalize";

const cr = 0x0d;
const lf = 0x0a;
const letter = 0x78;

/** Watches content that arrives in pieces. It tells faults; it changes nothing. */
export class LineEndingCheck {
  fault: ContentFault | undefined;
  #afterCr = false;

  check(octets: Buffer): void {
    for (let from = 0; from < octets.length && this.fault === undefined; from += largestPieceBytes) {
      const last = octets[Math.min(from + largestPieceBytes, octets.length) - 1];
      this.fault = findFault(octets.subarray(from, from + largestPieceBytes), this.#afterCr, last === cr);
      this.#afterCr = last === cr;
    }
  }

  /** The content is over. */
  end(): void {
    if (this.#afterCr) this.fault ??= "bareCr";
  }
}

interface Search {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly find: (at: number, end: number) => number;
}

/** The memory holds the octet before the piece, the piece, and the octet behind it. */
const { memory, find } = instantiate(searchModule) as Search;
const view = new Uint8Array(memory.buffer);
const largestPieceBytes = 64 * 1024;

/** In a piece that is not empty. What a CR at its end means, the next piece will tell. */
function findFault(piece: Buffer, afterCr: boolean, endsInCr: boolean): ContentFault | undefined {
  const end = piece.length + 1;
  view[0] = afterCr ? cr : letter;
  view.set(piece, 1);
  view[end] = endsInCr ? lf : letter;
  const at = find(0, end);
  if (at === end) return undefined;
  if (view[at] === 0) return "nul";
  return view[at] === cr ? "bareCr" : "bareLf";
}
