/** The parts of a multipart body (RFC 2046 §5.1). */
import { header } from "../message/index.ts";

export interface Part {
  readonly contentType: string;
  readonly description: string;
  /** Whole lines with CRLF, of at most 998 octets. */
  readonly content: Buffer;
  /** There are octets beyond ASCII. */
  readonly eightBit: boolean;
}

const longestBoundary = 70;

/** A boundary that stands in none of the parts: looked for, not hoped for. `id` makes it likely at the first try. */
export function chooseBoundary(id: string, parts: readonly Part[]): string {
  const stem = id.replace(/[^0-9A-Za-z]/g, "").slice(0, longestBoundary / 2);
  for (let count = 0; ; count++) {
    // "=_" stands in no base64 and no quoted-printable.
    const boundary = `=_${stem}.${count}`;
    if (!parts.some(({ content }) => content.includes(boundary))) return boundary;
  }
}

export function joinParts(boundary: string, parts: readonly Part[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (const part of parts) {
    const head =
      header("Content-Description", part.description) +
      header("Content-Type", part.contentType) +
      (part.eightBit ? header("Content-Transfer-Encoding", "8bit") : "");
    // The line end before a delimiter belongs to it, so that the part's own last line end stays.
    chunks.push(Buffer.from(`--${boundary}\r\n${head}\r\n`), part.content, Buffer.from("\r\n"));
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return chunks;
}
