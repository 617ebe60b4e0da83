/** SMTP replies (RFC 5321 §4.2, RFC 3463). `reply()` is the only way of a text to the wire. */
import { stringOf } from "./foreign-text.ts";

export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** RFC 3463 `class.subject.detail`; its class always agrees with `code`. Absent for greetings, 354 and the like. */
  readonly enhanced: string | undefined;
  /** One line of printable text, at most 400 octets: room for code and enhanced code in the 512 of RFC 5321 §4.5.3.1.5. */
  readonly text: string;
  /** Further lines of the same reply, each like `text`; only `replyLines` makes them. */
  readonly more?: readonly string[];
}

const mostLines = 32;

/** Octets of UTF-8. */
const longestText = 400;
// Anything but printable ASCII and, under SMTPUTF8, printable Unicode. CR and LF first of all.
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
const enhancedForm = /^[245]\.\d{1,3}\.\d{1,3}$/;

/**
 * Makes a reply whatever it is given: control bytes become one space, long texts are cut, a code outside 200–599 or no
 * number becomes 451, an enhanced code that disagrees with the code's class is replaced by `class.0.0`.
 */
export function reply(code: number, enhanced: string | undefined, text: string): Reply {
  const sound = Number.isInteger(code) && code >= 200 && code <= 599 ? code : 451;
  return Object.freeze({ code: sound, enhanced: soundEnhanced(sound, enhanced), text: soundText(text) });
}

/** The same with several lines, 32 at most; each is made as sound as the text of a reply. */
export function replyLines(code: number, enhanced: string | undefined, lines: readonly string[]): Reply {
  const [first = "", ...more] = lines.slice(0, mostLines);
  const single = reply(code, enhanced, first);
  return more.length === 0 ? single : Object.freeze({ ...single, more: Object.freeze(more.map(soundText)) });
}

function soundText(text: string): string {
  const printable = stringOf(text)
    .slice(0, longestText * 4)
    .toWellFormed()
    .replace(unsafe, " ")
    .trim();
  return cut(printable);
}

/** Cuts between characters. */
function cut(text: string): string {
  if (text.length * 3 <= longestText) return text;
  const octets = Buffer.from(text);
  if (octets.length <= longestText) return text;
  let end = longestText;
  while (end > 0 && ((octets[end] ?? 0) & 0xc0) === 0x80) end--;
  return octets.toString("utf8", 0, end).trimEnd();
}

function soundEnhanced(code: number, enhanced: string | undefined): string | undefined {
  if (enhanced === undefined) return undefined;
  const ownClass = Math.floor(code / 100);
  if (ownClass === 3) return undefined;
  const wellFormed = typeof enhanced === "string" && enhancedForm.test(enhanced);
  return wellFormed && Number(enhanced[0]) === ownClass ? enhanced : `${ownClass}.0.0`;
}

/** `250 2.1.5 Ok`, as it stands in logs and DSNs: one line, whatever there is. */
export function formatReply({ code, enhanced, text, more }: Reply): string {
  const all = more === undefined ? text : [text, ...more].join(" ");
  return enhanced === undefined ? `${code} ${all}` : `${code} ${enhanced} ${all}`;
}

/** As it goes over the wire, each line with its CRLF (RFC 5321 §4.2.1). */
export function wireReply(said: Reply): string {
  const { code, enhanced, text, more } = said;
  if (more === undefined) return `${formatReply(said)}\r\n`;
  const last = more.length;
  return [text, ...more]
    .map((line, at) => `${code}${at < last ? "-" : " "}${enhanced === undefined ? "" : `${enhanced} `}${line}\r\n`)
    .join("");
}

/** What the peer hears of anything that went wrong inside: nothing but "try again". */
export const internalError: Reply = reply(451, "4.3.0", "Temporary failure, try again later");
