/** RFC 2047 the other way: encoded words of a field as people read them. What is not sound stays as it is written. */

/** §2: charset (with a language, RFC 2231 §5), encoding, text without blanks. */
const encodedWord = /=\?([\w.:-]{1,40})(?:\*[\w-]*)?\?([BbQq])\?([^?\s]*)\?=/g;
/** §6.2: blanks between two encoded words are not there. */
const between = /(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)[ \t]+(?==\?[^?\s]+\?[BbQq]\?[^?\s]*\?=)/g;

/** `value` is unfolded and of bounded length. */
export function decodeWords(value: string): string {
  if (!value.includes("=?")) return value;
  return value.replace(between, "$1").replace(encodedWord, (word, charset: string, encoding: string, text: string) => {
    const octets = encoding.toUpperCase() === "B" ? Buffer.from(text, "base64") : decodeQ(text);
    try {
      return new TextDecoder(charset).decode(octets);
    } catch {
      return word; // a charset that nobody knows
    }
  });
}

/** §4.2. */
function decodeQ(text: string): Buffer {
  const latin1 = text
    .replaceAll("_", " ")
    .replace(/=([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
  return Buffer.from(latin1, "latin1");
}
