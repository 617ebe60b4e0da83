/** Lines as tables are asked for them, and texts of tables as lines. */
import { isUtf8 } from "node:buffer";

/** Octets of a field that tables see, a little less than Postfix's 102,400: no table takes a longer key. */
export const longestKey = 65_536;
const blanksBeforeColon = /^([\u0021-\u0039\u003b-\u007e]+)[ \t]+:/;

/** Octets as UTF-8 where they are valid, else as latin1. */
export interface LineText {
  readonly text: string;
  readonly latin1: boolean;
}

export function lineText(octets: Buffer): LineText {
  return isUtf8(octets)
    ? { text: octets.toString("utf8"), latin1: false }
    : { text: octets.toString("latin1"), latin1: true };
}

/** A whole field with its folding: LF where its lines end, and none at the end, as Postfix shows it; no blanks before the colon. */
export function fieldText(raw: Buffer): LineText {
  const octets = raw.length > longestKey ? raw.subarray(0, longestKey) : raw;
  const { text, latin1 } = lineText(octets);
  const whole = text.endsWith("\r\n") ? text.slice(0, -2) : text;
  return { text: whole.replaceAll("\r\n", "\n").replace(blanksBeforeColon, "$1:"), latin1 };
}

/** A table's text as octets, what it took from the line in the line's own charset. Control characters become blanks: it is one line. */
export function textOctets(text: string, latin1: boolean): Buffer {
  const line = text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]+/g, " ");
  return latin1 && !/[^\u0000-\u00ff]/.test(line) ? Buffer.from(line, "latin1") : Buffer.from(line);
}
