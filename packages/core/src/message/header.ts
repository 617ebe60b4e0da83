/**
 * The one constructor of header fields. Whatever it is given, what comes out is one field: no CR, LF, NUL or other control
 * character inside, lines of at most 998 octets (RFC 5322 §2.1.1), a bounded length. It never throws.
 */
import { stringOf } from "../model/foreign-text.ts";
import { encodeWords } from "./encoded-word.ts";

declare const sound: unique symbol;
/** A whole header field with its final CRLF, made here or by `receivedHeader` and its like; nothing else is put into a message. */
export type FieldText = string & { readonly [sound]: true };

export interface HeaderOptions {
  /** RFC 6532: the message may have UTF-8 in its header; else non-ASCII words become RFC 2047 encoded words. */
  readonly utf8?: boolean;
}

const longestName = 76;
/** Octets of a value; Postfix cuts at 102,400. */
const longestValue = 64 * 1024;
const preferredLine = 78;
const longestLine = 998;
/** A longer run of blanks says nothing more than this one. */
const longestBlank = 60;

const notInName = /[^\u0021-\u0039\u003b-\u007e]+/g;
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
const ordinary = /^[\u0020-\u007e]*$/;

/**
 * `Name: value` and CRLF. Characters that a name cannot have become a hyphen. Runs of control characters in the value become
 * one blank, surrounding blanks go, so that parsing gives the value back. Lines are folded where the value has blanks, beyond
 * 998 octets anywhere. Encoded words are for unstructured fields; an address with non-ASCII needs `utf8`.
 */
export function header(name: string, value: string, { utf8 = false }: HeaderOptions = {}): FieldText {
  const soundName = makeName(name);
  const text = makeValue(value);
  if (ordinary.test(text) && soundName.length + text.length + 2 <= preferredLine) {
    return (text === "" ? `${soundName}:\r\n` : `${soundName}: ${text}\r\n`) as FieldText;
  }
  return `${fold(soundName, utf8 ? text : encodeWords(text))}\r\n` as FieldText;
}

const lineEnds = /\r\n|\r|\n/;
const controlOctets = /[\u0000-\u0008\u000a-\u001f\u007f]+/g;

/**
 * The same for a value in octets, such as a signature that somebody else made: they stay as they are, 8-bit ones too, and so does their folding. A line
 * end is a fold whatever follows it, lines of nothing but blanks go, other control characters become one blank, and lines beyond 998 octets are folded.
 * Behind the colon stands a blank unless the value brings its own.
 */
export function headerOctets(name: string, value: Uint8Array): Buffer {
  const soundName = makeName(name);
  const text = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, longestValue)).toString("latin1");
  const [first = "", ...others] = text.split(lineEnds).map((line) => line.replace(controlOctets, " "));
  const top = first === "" || /^[ \t]/.test(first) ? `${soundName}:${first}` : `${soundName}: ${first}`;
  const folded = others.filter((line) => line.trim() !== "").map((line) => (/^[ \t]/.test(line) ? line : `\t${line}`));
  const empty = folded.length === 0 && first.trim() === "";
  const lines = empty ? [`${soundName}:`] : [top, ...folded];
  return Buffer.from(`${lines.map(foldLine).join("\r\n")}\r\n`, "latin1");
}

function foldLine(line: string): string {
  if (line.length <= longestLine) return line;
  // No line may be empty but for blanks.
  let rest = line.trimEnd().replace(/[ \t]{60,}/g, (blanks) => blanks.slice(0, longestBlank));
  let folded = "";
  while (rest.length > longestLine) {
    folded += `${rest.slice(0, longestLine)}\r\n`;
    rest = ` ${rest.slice(longestLine)}`;
  }
  return folded + rest;
}

function makeName(name: unknown): string {
  const text = stringOf(name).slice(0, longestName).replace(notInName, "-");
  return text === "" ? "X-Unnamed" : text;
}

function makeValue(value: unknown): string {
  const text = stringOf(value).slice(0, longestValue);
  if (ordinary.test(text)) return text.trim();
  const clean = text.toWellFormed().replace(controls, " ").trim();
  return Buffer.byteLength(clean) > longestValue ? cutOctets(clean, longestValue) : clean;
}

/** The longest beginning of `text` that has at most `octets` octets and ends with a whole character. */
function cutOctets(text: string, octets: number): string {
  const buffer = Buffer.from(text);
  if (buffer.length <= octets) return text;
  let end = octets;
  while (end > 0 && ((buffer[end] ?? 0) & 0xc0) === 0x80) end--;
  return buffer.toString("utf8", 0, end);
}

function fold(name: string, value: string): string {
  if (value === "") return `${name}:`;
  let folded = `${name}:`;
  let column = folded.length;
  const parts = ` ${value}`.split(/([ \t]+)/);
  // parts: "", blanks, word, blanks, word, …; the value neither begins nor ends with a blank.
  for (let at = 1; at + 1 < parts.length; at += 2) {
    const blanks = (parts[at] ?? " ").slice(0, longestBlank);
    let word = parts[at + 1] ?? "";
    let width = Buffer.byteLength(word);
    const fits = column + blanks.length + width <= preferredLine;
    // No line may be empty but for blanks, so nothing is folded between the colon and the first word.
    if (!fits && at > 1) {
      folded += "\r\n";
      column = 0;
    }
    folded += blanks;
    column += blanks.length;
    while (column + width > longestLine) {
      const head = cutOctets(word, longestLine - column);
      folded += `${head}\r\n `;
      word = word.slice(head.length);
      width = Buffer.byteLength(word);
      column = 1;
    }
    folded += word;
    column += width;
  }
  return folded;
}
