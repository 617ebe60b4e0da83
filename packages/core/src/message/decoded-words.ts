/** RFC 2047 read: encoded words become text. What is no sound encoded word stays as it is. */
import { decodeText } from "./charset.ts";

// The parts have no blank and no question mark (§2); a language may follow the charset (RFC 2231 §5).
const word = /=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bq])\?([^?\s]*)\?=/gi;

/** `value` is an unfolded header value. Blanks between two encoded words go (§6.2); octets of neighbours of one charset are decoded together. */
export function decodeWords(value: string): string {
  if (!value.includes("=?")) return value;
  let text = "";
  let done = 0;
  let pending: { charset: string; octets: Buffer[] } | undefined;
  const flush = (): void => {
    if (pending !== undefined) text += decodeText(Buffer.concat(pending.octets), pending.charset);
    pending = undefined;
  };
  for (const found of value.matchAll(word)) {
    const [whole, charset = "", encoding, encoded = ""] = found;
    const between = value.slice(done, found.index);
    if (pending === undefined || between.trim() !== "") {
      flush();
      text += between;
    }
    const octets = encoding?.toLowerCase() === "b" ? Buffer.from(encoded, "base64") : decodeQ(encoded);
    const lower = charset.toLowerCase();
    if (pending?.charset !== lower) flush();
    // A character may have been cut in two.
    (pending ??= { charset: lower, octets: [] }).octets.push(octets);
    done = found.index + whole.length;
  }
  flush();
  return text + value.slice(done);
}

function decodeQ(encoded: string): Buffer {
  const spaced = encoded.replaceAll("_", " ");
  const latin1 = spaced.replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(latin1, "latin1");
}
