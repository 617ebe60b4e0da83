/** Our trace field (RFC 5321 §4.4), in the form of Postfix, which log analysers and spam filters know. */
import { formatAddressLiteral, parseIp } from "../address/index.ts";
import { formatDate } from "./dates.ts";
import type { FieldText } from "./header.ts";

export interface ReceivedOptions {
  /** What the client said in HELO; anything. */
  readonly helo: string;
  /** Verified name of the client, or "unknown". */
  readonly clientName: string;
  /** Without brackets; `undefined` when it is not known. */
  readonly clientAddress: string | undefined;
  readonly hostname: string;
  /** As `receivedProtocol` gives it. */
  readonly protocol: string;
  readonly id: string;
  readonly nowMs: number;
  readonly tls?: { readonly protocol: string; readonly cipher: string; readonly bits: number } | undefined;
  /** Who logged in, for whoever reads the message. */
  readonly authenticated?: string | undefined;
  /** Given only when the message has exactly one: several would tell each other who got blind copies (RFC 5321 §7.2). */
  readonly recipient?: string | undefined;
  /** RFC 6531: the message may have UTF-8 in its header. */
  readonly utf8?: boolean;
}

const longestWord = 255;
/** A path's length with its brackets: an address is never cut. */
const longestAddress = 256;

// Postfix's neuter(): these would end the comment or name another route. No blanks: each is one word.
const harmlessWord = /^[A-Za-z0-9._[\]-]*$/;
const notInWord = /[^\u0021\u0023-\u0027\u002a-\u0039\u003d\u0041-\u005b\u005d-\u007e]/g;
const notInComment = /[^\u0021-\u0027\u002a-\u005b\u005d-\u007e]/g;
const notInAddress = /[^\u0020-\u007e]/g;
const notInAddressUtf8 = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

function word(text: string): string {
  const cut = text.length > longestWord ? text.slice(0, longestWord) : text;
  if (harmlessWord.test(cut)) return cut;
  return cut.toWellFormed().replace(notInWord, "?");
}

/** HELO may be an address literal; its colons stay. A name has A-labels whatever the message may have (RFC 6531 §3.7.1). */
function heloWord(helo: string): string {
  if (helo.startsWith("[") && helo.endsWith("]") && /^\[(?:IPv6:)?[0-9A-Fa-f.:]{2,45}\]$/i.test(helo)) return helo;
  return word(helo);
}

let lastAddress: string | undefined;
let lastLiteral = "";

function literal(address: string | undefined): string {
  if (address === undefined) return "[unknown]";
  // Sessions bring many messages in a row.
  if (address !== lastAddress) {
    const ip = parseIp(address);
    lastLiteral = ip === undefined ? "[unknown]" : formatAddressLiteral(ip);
    lastAddress = address;
  }
  return lastLiteral;
}

/** The whole field, over several lines, with its final CRLF. Foreign words are neutralised; none can add a line. */
export function receivedHeader(options: ReceivedOptions): FieldText {
  const { tls, authenticated, recipient, utf8 = false } = options;
  const from = `from ${heloWord(options.helo)} (${word(options.clientName)} ${literal(options.clientAddress)})`;
  const using =
    tls === undefined
      ? ""
      : `\r\n\t(using ${word(tls.protocol)} with cipher ${word(tls.cipher)} (${Number(tls.bits)}/${Number(tls.bits)} bits))`;
  const login = authenticated === undefined ? "" : `\r\n\t(Authenticated sender: ${commentText(authenticated)})`;
  const by = `\r\n\tby ${word(options.hostname)} with ${word(options.protocol)} id ${word(options.id)}`;
  const once = recipient === undefined ? ";" : `\r\n\tfor <${recipientWord(recipient, utf8)}>;`;
  const end = recipient === undefined ? "\r\n\t" : " ";
  return `Received: ${from}${using}${login}${by}${once}${end}${formatDate(options.nowMs)}\r\n` as FieldText;
}

function commentText(text: string): string {
  return text.slice(0, longestAddress).toWellFormed().replace(notInComment, "?");
}

function recipientWord(recipient: string, utf8: boolean): string {
  return recipient
    .slice(0, longestAddress)
    .toWellFormed()
    .replace(utf8 ? notInAddressUtf8 : notInAddress, "?");
}

/** The word after "with": RFC 3848 and RFC 6531 §4.3. HELO knows no extension, so it stays SMTP whatever else holds. */
export function receivedProtocol(session: {
  readonly verb: "HELO" | "EHLO" | "LHLO";
  readonly tls: boolean;
  readonly authenticated: boolean;
  readonly smtputf8: boolean;
}): string {
  if (session.verb === "HELO") return "SMTP";
  const base = session.verb === "LHLO" ? "LMTP" : session.smtputf8 ? "SMTP" : "ESMTP";
  return `${session.smtputf8 ? "UTF8" : ""}${base}${session.tls ? "S" : ""}${session.authenticated ? "A" : ""}`;
}
