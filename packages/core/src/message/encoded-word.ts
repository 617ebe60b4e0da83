/** RFC 2047: non-ASCII words of an unstructured field in ASCII. */

/** RFC 2047 §2: an encoded word has at most 75 characters; this is what is left for its text. */
const maxEncodedText = 75 - "=?utf-8?B??=".length;
// Printable ASCII that Q leaves alone in every place where an encoded word may stand (§5 (3)).
const literalInQ = /[A-Za-z0-9!*+/-]/;
const nonAscii = /[^\u0000-\u007f]/;

/**
 * Encodes every run of words that are not ASCII, the blanks between them with them (between two encoded words a reader drops
 * blanks). ASCII words stay as they are. `value` has no control characters.
 */
export function encodeWords(value: string): string {
  if (!nonAscii.test(value)) return value;
  const parts = value.split(/([ \t]+)/);
  const encoded: string[] = [];
  for (let at = 0; at < parts.length; at++) {
    let run = parts[at] ?? "";
    if (nonAscii.test(run)) {
      while (at + 2 < parts.length && nonAscii.test(parts[at + 2] ?? "")) {
        run += `${parts[at + 1] ?? ""}${parts[at + 2] ?? ""}`;
        at += 2;
      }
      encoded.push(encodeRun(run));
    } else {
      encoded.push(run);
    }
  }
  return encoded.join("");
}

/** B or Q, whichever is shorter; never splits a character (§5). */
function encodeRun(text: string): string {
  const octets = Buffer.from(text);
  let plainOctets = 0;
  for (const octet of octets) if (octet === 0x20 || literalInQ.test(String.fromCharCode(octet))) plainOctets++;
  const qLength = plainOctets + 3 * (octets.length - plainOctets);
  return qLength < Math.ceil(octets.length / 3) * 4 ? splitWords(text, "Q", encodeQ) : splitWords(text, "B", encodeB);
}

function splitWords(text: string, encoding: "B" | "Q", encode: (part: string) => string): string {
  const words: string[] = [];
  let part = "";
  let length = 0;
  for (const character of text) {
    // For B the sum is an upper bound of octets; for Q it is exact.
    const cost = encoding === "Q" ? encodeQ(character).length : Buffer.byteLength(character);
    const limit = encoding === "Q" ? maxEncodedText : Math.floor(maxEncodedText / 4) * 3;
    if (length + cost > limit) {
      words.push(part);
      part = "";
      length = 0;
    }
    part += character;
    length += cost;
  }
  words.push(part);
  return words.map((word) => `=?utf-8?${encoding}?${encode(word)}?=`).join(" ");
}

function encodeB(part: string): string {
  return Buffer.from(part).toString("base64");
}

function encodeQ(part: string): string {
  let encoded = "";
  for (const octet of Buffer.from(part)) {
    const character = String.fromCharCode(octet);
    if (octet === 0x20) encoded += "_";
    else if (literalInQ.test(character)) encoded += character;
    else encoded += `=${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
