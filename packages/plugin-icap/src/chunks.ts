/** Chunked bodies, out and in (RFC 7230 §4.1 as RFC 3507 §4.4.1 uses it). */
import type { Connection } from "./connection.ts";
import { fault } from "./fault.ts";
import { Fields, readLines } from "./fields.ts";

/** One chunk of these octets; none for none, since an empty chunk is the end. */
export function chunk(octets: readonly Uint8Array[]): (string | Uint8Array)[] {
  const bytes = octets.reduce((sum, { length }) => sum + length, 0);
  return bytes === 0 ? [] : [`${bytes.toString(16)}\r\n`, ...octets, "\r\n"];
}

export const lastChunk = "0\r\n\r\n";
/** The end of a preview that was the whole body (§4.5). */
export const wholePreview = "0; ieof\r\n\r\n";

const longestSizeLine = 1024;

/** The octets of a body; each piece is valid until the next. `onTrailer` gets what stands behind it. Throws `ScannerFailure` for sizes that are none. */
export async function* readChunks(connection: Connection, onTrailer: (fields: Fields) => void): AsyncGenerator<Buffer> {
  for (;;) {
    const line = await connection.line(longestSizeLine);
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
    if (size === undefined) throw fault("a chunk whose size is no number");
    let left = parseInt(size, 16);
    if (left === 0) break;
    while (left > 0) {
      const octets = await connection.octets(left);
      left -= octets.length;
      yield octets;
    }
    if ((await connection.line(1)) !== "") throw fault("a chunk that is longer than its size");
  }
  onTrailer(Fields.parse(await readLines(connection)));
}
