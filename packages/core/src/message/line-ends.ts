/** Line ends of content that plugins make. */

const alone = /\r(?!\n)|(?<!\r)\n/;

/** Every bare CR and LF becomes CR LF: behind us somebody may take one of them for the end of a line (SMTP smuggling). */
export function normalizeLineEnds(octets: Uint8Array): Buffer {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const text = buffer.toString("latin1");
  // A copy in either case: the edit's maker may go on writing to its array.
  return alone.test(text) ? Buffer.from(text.replace(/\r\n|\r|\n/g, "\r\n"), "latin1") : Buffer.from(buffer);
}
