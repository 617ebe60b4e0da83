/**
 * Transfer encodings undone (RFC 2045 §6.7, §6.8), piece by piece in linear time. Tolerant, since mail programs are: what is no base64
 * is passed over, padding in the middle ends a group and not the text, and what is no quoted-printable stays as it is.
 */
import type { Blob } from "./blob.ts";

export interface Decoder {
  push(piece: Buffer): Buffer;
  end(): Buffer;
}

/** A line of quoted-printable that is longer is decoded before its end is seen. */
const longestHeld = 64 * 1024;
const empty = Buffer.alloc(0);

class Base64Decoder implements Decoder {
  /** The digits of an unfinished group, at most three. */
  #rest = "";

  push(piece: Buffer): Buffer {
    const digits = this.#rest + piece.toString("latin1").replaceAll(/[^A-Za-z0-9+/=]+/g, "");
    const padding = digits.lastIndexOf("=") + 1;
    const whole = padding + Math.floor((digits.length - padding) / 4) * 4;
    this.#rest = digits.slice(whole);
    return decodeGroups(digits.slice(0, whole));
  }

  end(): Buffer {
    const last = Buffer.from(this.#rest, "base64");
    this.#rest = "";
    return last;
  }
}

/** Each padding ends a group, whole or not. */
function decodeGroups(digits: string): Buffer {
  const first = digits.indexOf("=");
  if (first < 0 || first >= digits.length - 2) return Buffer.from(digits, "base64");
  return Buffer.concat(digits.split(/=+/).map((run) => Buffer.from(run, "base64")));
}

class QuotedPrintableDecoder implements Decoder {
  #held = "";

  push(piece: Buffer): Buffer {
    const text = this.#held + piece.toString("latin1");
    let cut = text.lastIndexOf("\n") + 1;
    if (text.length - cut > longestHeld) {
      // Not within `=XX`, nor within a soft line break.
      const escaped = text.lastIndexOf("=");
      cut = escaped >= text.length - 3 ? escaped : text.length;
    }
    this.#held = text.slice(cut);
    return cut === 0 ? empty : decodeLines(text.slice(0, cut));
  }

  end(): Buffer {
    const last = decodeLines(this.#held);
    this.#held = "";
    return last;
  }
}

function decodeLines(text: string): Buffer {
  const lines = text.split("\n");
  const last = lines.length - 1;
  const decoded = lines.map((line, at) => {
    const ended = at < last;
    if (!ended && !line.includes("=")) return line;
    const end = ended && line.endsWith("\r") ? "\r\n" : ended ? "\n" : "";
    // Blanks at the end of a line were added on the way (§6.7 (3)).
    const sound = ended ? withoutTrailingBlanks(line) : line;
    if (sound.endsWith("=")) return sound.slice(0, -1).replaceAll(escape, unescape);
    return sound.replaceAll(escape, unescape) + end;
  });
  return Buffer.from(decoded.join(""), "latin1");
}

function withoutTrailingBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && blanks.includes(line.charAt(end - 1))) end -= 1;
  return end === line.length ? line : line.slice(0, end);
}

const blanks = " \t\r";
const escape = /=([0-9A-Fa-f]{2})/g;
const unescape = (_: string, hex: string): string => String.fromCharCode(Number.parseInt(hex, 16));

/** `undefined` for what has nothing to undo: 7bit, 8bit, binary, and what nobody knows. */
export function decoderFor(encoding: string): Decoder | undefined {
  if (encoding === "base64") return new Base64Decoder();
  return encoding === "quoted-printable" ? new QuotedPrintableDecoder() : undefined;
}

export async function* decodeBlob(blob: Blob, encoding: string): AsyncGenerator<Buffer> {
  const decoder = decoderFor(encoding);
  for await (const piece of blob.read()) {
    const decoded = decoder === undefined ? piece : decoder.push(piece);
    if (decoded.length > 0) yield decoded;
  }
  const last = decoder?.end() ?? empty;
  if (last.length > 0) yield last;
}
