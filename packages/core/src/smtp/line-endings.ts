/**
 * Line endings of message content (RFC 5321 §2.3.8): CR and LF appear only together. What else comes is refused or made CRLF
 * here, at ingress, so that no later hop can see a line where we saw none (SMTP smuggling).
 */
import { octets as searchModule } from "./line-ends.wasm.ts";
import { instantiate } from "./web-assembly.ts";

/** What is wrong with the octets of a message. The first fault found stands. */
export type ContentFault = "bareLf" | "bareCr" | "nul";

export type LineEndingPolicy = "reject" | "normalize";

const [cr, lf, dot, letter] = [0x0d, 0x0a, 0x2e, 0x78];
const dottedLine = Buffer.from("\r\n.");

/** Is told where a dot follows CRLF; answers true when nothing behind it matters. */
export type OnDot = (at: number) => boolean;

/** Watches content that arrives in pieces. It tells faults; it changes nothing. */
export class LineEndingCheck {
  fault: ContentFault | undefined;
  #afterCr = false;

  /** Checks `octets` from `from` on. `onDot` hears of each dot behind CRLF, also after a fault; the CRLF must be in `octets` too. */
  check(octets: Buffer, from = 0, onDot?: OnDot): void {
    if (from === octets.length) return;
    let at = from;
    while (at < octets.length && this.fault === undefined) at = this.#search(octets, at, at === from, onDot);
    if (at < octets.length && onDot !== undefined) eachDottedLine(octets, at, onDot);
    this.#afterCr = octets.at(-1) === cr;
  }

  /** The content is over, by BDAT. Not to be asked after the end of DATA, which stands behind CRLF in any case. */
  end(): void {
    if (this.#afterCr) this.fault ??= "bareCr";
  }

  /** One window of it. Returns where to go on: behind the window, at a fault, or nowhere when nothing behind matters. */
  #search(octets: Buffer, from: number, first: boolean, onDot: OnDot | undefined): number {
    const behind = Math.min(from + windowBytes, octets.length);
    const end = behind - from + 1;
    view[0] = first ? (this.#afterCr ? cr : letter) : (octets[from - 1] as number);
    view.set(octets.subarray(from, behind), 1);
    // What a CR at the end of all means, the next piece will tell.
    view[end] = octets[behind] ?? (view[end - 1] === cr ? lf : letter);
    // LF behind LF is a fault in any case.
    const next = onDot === undefined ? lf : dot;
    // The window before has looked at its last octet, which is the first here.
    for (let at = find(first ? 0 : 1, end, next); at < end; at = find(at + 1, end, next)) {
      if (view[at] !== lf || view[at + 1] !== dot) {
        this.fault = view[at] === 0 ? "nul" : view[at] === cr ? "bareCr" : "bareLf";
        return from + Math.max(at - 1, 0);
      }
      if (onDot?.(from + at) === true) return octets.length;
    }
    return behind;
  }
}

/** Tells of each dot behind CRLF in `octets` from `from` on, until the answer is true. */
export function eachDottedLine(octets: Buffer, from: number, onDot: OnDot): void {
  for (let at = octets.indexOf(dottedLine, from); at >= 0; at = octets.indexOf(dottedLine, at + dottedLine.length))
    if (onDot(at + dottedLine.length - 1)) return;
}

interface Search {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly find: (at: number, end: number, next: number) => number;
}

/** The memory holds the octet before the window, the window, and the octet behind it. */
const { memory, find } = instantiate(searchModule) as Search;
const view = new Uint8Array(memory.buffer);
const windowBytes = 64 * 1024;
