/**
 * A message's octets as DATA wants them (RFC 5321 §4.5.2): a dot before each line that begins with one, a final CRLF, the
 * dot that ends it. Nothing else changes and nothing is copied: pieces share the chunks' memory.
 *
 * By contract line ends are CRLF. Should a bare LF come here all the same, a dot after it is doubled too: a peer that takes
 * LF for a line end could be told another message otherwise, and a doubled dot is the smaller harm.
 */
const lineStartDot = Buffer.from("\n.");
const dot = Buffer.from(".");
const [lf, cr, point] = [0x0a, 0x0d, 0x2e];
const endAtLineStart = Buffer.from(".\r\n");
const endInLine = Buffer.from("\r\n.\r\n");

export interface DotStuffing {
  /** Appends to `pieces` what is to be written for `chunk`. */
  stuff(chunk: Buffer, pieces: Buffer[]): void;
  /** The octets that end the message. */
  end(): Buffer;
}

export function createDotStuffing(): DotStuffing {
  // The last two octets; a message begins as if after CRLF.
  let beforeLast: number = cr;
  let last: number = lf;
  return {
    stuff(chunk, pieces) {
      if (chunk.length === 0) return;
      if (last === lf && chunk[0] === point) pieces.push(dot);
      let start = 0;
      for (let at = firstDottedLine(chunk); at >= 0; at = chunk.indexOf(lineStartDot, start)) {
        pieces.push(chunk.subarray(start, at + 1), dot);
        start = at + 1;
      }
      pieces.push(start === 0 ? chunk : chunk.subarray(start));
      beforeLast = chunk.length > 1 ? (chunk[chunk.length - 2] ?? 0) : last;
      last = chunk[chunk.length - 1] ?? 0;
    },
    end: () => (last === lf && beforeLast === cr ? endAtLineStart : endInLine),
  };
}

/** One octet is found many times sooner than two, and base64, which most large content is, has no dots. */
function firstDottedLine(chunk: Buffer): number {
  const first = chunk.indexOf(point);
  return first < 0 ? -1 : chunk.indexOf(lineStartDot, Math.max(first - 1, 0));
}
