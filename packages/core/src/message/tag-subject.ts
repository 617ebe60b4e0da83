/** A word before the subject, as scanners mark what they have found. */
import { encodeWords } from "./encoded-word.ts";
import type { Edit, Message } from "./message.ts";

/** More Subject fields than this are nobody's mail; those below stay as they are. */
const mostSubjects = 10;

/**
 * Edits that put `tag` before the subject, `[spam]` for example: before every Subject field, whose octets stay as they are, its encoded words and its
 * folding too. A subject that begins with it already is left alone; a message without one gets one.
 */
export function tagSubject(message: Message, tag: string): readonly Edit[] {
  const subjects = message.headers.getAll("subject").slice(0, mostSubjects);
  if (subjects.length === 0) return [{ kind: "appendHeader", name: "Subject", value: tag }];
  return subjects.flatMap(({ value, raw }, at): readonly Edit[] => {
    if (value.startsWith(tag)) return [];
    const octets = raw.subarray(raw.indexOf(0x3a) + 1);
    const text = octets.toString("latin1").replace(/\r?\n$/, "");
    const separator = /^\s/.test(text) ? "" : " ";
    const tagged = Buffer.from(`${encodeWords(tag)}${separator}${text}`, "latin1");
    return [{ kind: "replaceHeader", name: "Subject", nth: at + 1, value: tagged }];
  });
}
