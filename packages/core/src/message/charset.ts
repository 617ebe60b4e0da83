/** Octets of a named charset as text. It never throws: a charset that nobody knows is read as UTF-8 where valid, else as latin1. */
import { isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";

/** Names are a stranger's: only those that are known are kept. */
const decoders = new Map<string, TextDecoder>();

export function decodeText(octets: Buffer, charset: string): string {
  const name = charset.toLowerCase();
  let decoder = decoders.get(name);
  if (decoder === undefined) {
    try {
      decoder = new TextDecoder(name, { ignoreBOM: true });
    } catch {
      return isUtf8(octets) ? octets.toString("utf8") : octets.toString("latin1");
    }
    decoders.set(name, decoder);
  }
  return decoder.decode(octets);
}
