/** The message as a command reads it, by the flags of pipe(8): lines ended by LF, with what mailbox formats want in front, quoted, behind. */
import type { DeliveryRequest, Recipient } from "@postern/core";

/**
 * B a blank line at the end; D Delivered-To; F `From sender date` in front; O X-Original-To; R Return-Path; X the delivery is final;
 * h, u lower case of domain and next-hop, of local parts, in arguments; q quoted local parts in arguments; . a line that begins with a dot
 * gets another; > before `From ` at the beginning of a line.
 */
export const flagLetters = "BDFORXhqu.>";

export interface CopyOptions {
  readonly flags: string;
  readonly eol: "\n" | "\r\n";
  readonly nullSender: string;
  readonly nowMs: number;
}

/** As latin1 text, piece by piece. `recipient` is the only one where D or O is among the flags. */
export async function* copyMail(
  { envelope, content }: Pick<DeliveryRequest, "envelope" | "content">,
  recipient: Recipient,
  { flags, eol, nullSender, nowMs }: CopyOptions,
): AsyncGenerator<string> {
  const sender = envelope.sender === "" ? nullSender : envelope.sender;
  const head: string[] = [];
  if (flags.includes("F")) head.push(`From ${octets(sender).replaceAll(" ", "-")}  ${mailboxDate(nowMs)}`);
  if (flags.includes("R")) head.push(`Return-Path: <${octets(sender)}>`);
  if (flags.includes("O")) head.push(`X-Original-To: ${octets(recipient.original)}`);
  if (flags.includes("D")) head.push(`Delivered-To: ${octets(recipient.address)}`);
  if (head.length > 0) yield head.map((line) => line + eol).join("");
  yield* copyLines(content.read(), { dots: flags.includes("."), froms: flags.includes(">"), eol });
  if (flags.includes("B")) yield eol;
}

interface LineOptions {
  readonly dots: boolean;
  readonly froms: boolean;
  readonly eol: "\n" | "\r\n";
}

/** Of a line's beginning, as much as must be seen to know it. */
const beginning = "From ".length;

/** CRLF becomes `eol`, and lines are quoted, without looking at each octet here. The last line ends as the others. */
async function* copyLines(content: AsyncIterable<Buffer>, { dots, froms, eol }: LineOptions): AsyncGenerator<string> {
  if (eol === "\r\n" && !dots && !froms) {
    for await (const piece of content) yield piece.toString("latin1");
    return;
  }
  let rest = "";
  let atStart = true;
  let last = "\n";
  const convert = (text: string): string => {
    if (text === "") return text;
    const lines = text.replaceAll("\r\n", "\n");
    const quoted = dots || froms ? quote(lines, atStart, dots, froms) : lines;
    last = lines.slice(-1);
    atStart = last === "\n";
    return eol === "\n" ? quoted : quoted.replaceAll("\n", "\r\n");
  };
  for await (const piece of content) {
    const text = rest + piece.toString("latin1");
    // A line that has only begun may yet become one to be quoted, and a CR may be half a line end.
    const line = text.lastIndexOf("\n") + 1;
    const begun = text.length - line < beginning && (line > 0 || atStart);
    const keep = begun ? line : text.endsWith("\r") ? text.length - 1 : text.length;
    rest = text.slice(keep);
    const ready = convert(text.slice(0, keep));
    if (ready !== "") yield ready;
  }
  const end = convert(rest);
  if (end !== "") yield end;
  if (last !== "\n") yield eol;
}

function quote(text: string, atStart: boolean, dots: boolean, froms: boolean): string {
  let quoted = text;
  if (froms) quoted = quoted.replaceAll("\nFrom ", "\n>From ");
  if (dots) quoted = quoted.replaceAll("\n.", "\n..");
  if (!atStart) return quoted;
  if (froms && quoted.startsWith("From ")) return `>${quoted}`;
  return dots && quoted.startsWith(".") ? `.${quoted}` : quoted;
}

/** An address in UTF-8 as its octets. */
function octets(address: string): string {
  return Buffer.from(address)
    .toString("latin1")
    .replace(/[\r\n\0]/g, "");
}

const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** asctime(3), local time: `Sun Nov  6 08:49:37 1994`. */
function mailboxDate(nowMs: number): string {
  const now = new Date(nowMs);
  const two = (number: number): string => String(number).padStart(2, "0");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(":");
  return `${days[now.getDay()]} ${months[now.getMonth()]} ${String(now.getDate()).padStart(2)} ${time} ${now.getFullYear()}`;
}
