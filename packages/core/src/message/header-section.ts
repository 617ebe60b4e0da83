/** Where the header section of a message ends (RFC 5322 §2.1), found without looking at single octets. */

const blankLine = Buffer.from("\r\n\r\n", "latin1");
const lineEnd = Buffer.from("\r\n", "latin1");
const space = 0x20;
const tab = 0x09;

/** Finds CR LF CR LF in octets that come piece by piece; a blank line at the very start counts. */
export class BlankLineSearch {
  #searchedBytes = 0;
  /** The last octets seen, at most three. Before the first octet a line has ended. */
  #tail = "\r\n";

  /** Offset behind the blank line, from the first octet ever pushed; `undefined` as long as there is none. */
  push(chunk: Buffer): number | undefined {
    const tail = this.#tail;
    const joint = tail + chunk.toString("latin1", 0, 3);
    const across = joint.indexOf("\r\n\r\n");
    if (across >= 0) return this.#searchedBytes - tail.length + across + blankLine.length;
    const within = chunk.indexOf(blankLine);
    if (within >= 0) return this.#searchedBytes + within + blankLine.length;
    this.#searchedBytes += chunk.length;
    this.#tail = (chunk.length >= 3 ? chunk.toString("latin1", chunk.length - 3) : joint).slice(-3);
    return undefined;
  }
}

export interface HeaderSection {
  /** All fields with their line ends, without the blank line. */
  readonly octets: Buffer;
  /** Where the body starts in the message. */
  readonly bodyStart: number;
  /** A blank line follows the fields. Without one it must be added before anything else is put behind a field. */
  readonly blankLine: boolean;
  /** The section went beyond the limit: what follows it is more of the same, although it counts as body. */
  readonly cut: boolean;
}

/**
 * The header section of the octets that `chunks` begin. `undefined` when its end is not in them although `sizeBytes` says that
 * there is more and `maxBytes` is not reached.
 */
export function findHeaderSection(
  chunks: readonly Buffer[],
  sizeBytes: number,
  maxBytes: number,
): HeaderSection | undefined {
  const first = chunks.find((chunk) => chunk.length > 0);
  // A line that would continue a field but has none before it: were it taken for a header, it would become part of whatever
  // field is put on top. All is body then, as in Postfix.
  if (first !== undefined && (first[0] === space || first[0] === tab)) {
    return { octets: Buffer.alloc(0), bodyStart: 0, blankLine: false, cut: false };
  }
  const search = new BlankLineSearch();
  let seen = 0;
  for (const chunk of chunks) {
    const piece = seen + chunk.length > maxBytes ? chunk.subarray(0, maxBytes - seen) : chunk;
    const bodyStart = search.push(piece);
    if (bodyStart !== undefined) {
      const octets = leading(chunks, Math.max(bodyStart - lineEnd.length, 0));
      return { octets, bodyStart, blankLine: true, cut: false };
    }
    seen += piece.length;
    if (seen >= maxBytes) break;
  }
  if (seen >= sizeBytes) return { octets: leading(chunks, seen), bodyStart: seen, blankLine: false, cut: false };
  if (seen < maxBytes) return undefined;
  const octets = wholeFields(leading(chunks, seen));
  return { octets, bodyStart: octets.length, blankLine: false, cut: true };
}

function leading(chunks: readonly Buffer[], length: number): Buffer {
  const [first] = chunks;
  if (first !== undefined && first.length >= length) return first.subarray(0, length);
  return Buffer.concat(chunks, length);
}

/** Without the last field, of which nobody knows whether it is whole. */
function wholeFields(octets: Buffer): Buffer {
  let end = octets.length - 1;
  while (end >= lineEnd.length) {
    const at = octets.lastIndexOf(lineEnd, end - lineEnd.length);
    if (at < 0) break;
    const next = octets[at + lineEnd.length];
    if (next !== space && next !== tab) return octets.subarray(0, at + lineEnd.length);
    end = at;
  }
  return octets.subarray(0, 0);
}
