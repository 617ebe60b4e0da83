/**
 * What rspamd wants changed in a message, as edits. Positions and their order are those of rspamd's own milter: removals, then insertions, then the envelope,
 * signatures, and the spam header.
 */
import type { Edit, EditPart, Message } from "@postern/core";
import type { AddedField, RspamdAnswer } from "./answer.ts";

export interface Change {
  readonly answer: RspamdAnswer;
  readonly message: Pick<Message, "headers">;
}

/** Everything but the treatment. Values keep their octets and their folding. */
export function milterEdits({ answer, message }: Change): Edit[] {
  const { milter } = answer;
  const edits: Edit[] = [];
  for (const [name, which] of Object.entries(milter?.remove_headers ?? {})) {
    edits.push(...removals(name, which, message));
  }
  const places = new Places(message.headers.length);
  for (const [name, added] of Object.entries(milter?.add_headers ?? {})) {
    for (const field of Array.isArray(added) ? added : [added]) edits.push(addition(name, field, places, answer));
  }
  if (milter?.change_from !== undefined) edits.push({ kind: "changeSender", address: bare(milter.change_from) });
  for (const address of milter?.add_rcpt ?? []) edits.push({ kind: "addRecipient", address: bare(address) });
  for (const address of milter?.del_rcpt ?? []) edits.push({ kind: "removeRecipient", address: bare(address) });
  const signatures = answer["dkim-signature"] ?? [];
  for (const signature of (typeof signatures === "string" ? [signatures] : signatures).toReversed()) {
    edits.push({ kind: "prependHeader", name: "DKIM-Signature", value: octetsOf(signature, answer) });
  }
  return edits;
}

function removals(name: string, which: number | readonly number[], { headers }: Change["message"]): Edit[] {
  const there = headers.getAll(name).length;
  const asked = typeof which === "number" ? [which] : which;
  if (there === 0) return [];
  if (asked.includes(0)) return [{ kind: "deleteHeader", name }];
  const fromTop = asked.map((nth) => (nth < 0 ? there + nth + 1 : nth));
  // From the last: what is removed moves those behind it.
  return [...new Set(fromTop)]
    .filter((nth) => nth >= 1 && nth <= there)
    .sort((a, b) => b - a)
    .map((nth) => ({ kind: "deleteHeader", name, nth }));
}

/**
 * Where a milter's fields go: positions count the Received field that the mail server puts on top, though a milter never sees it. What goes above it stands
 * on top of the rest here, for ours is always the first.
 */
class Places {
  readonly #count: number;
  #receivedAt = 0;

  /** `count`: the fields that there were. */
  constructor(count: number) {
    this.#count = count;
  }

  /** `undefined`: behind all others. Negative orders count from the end, -1 is behind the last one. */
  indexFor(order: number | undefined): number | undefined {
    if (order === undefined || order === -1) return undefined;
    const position = order >= 0 ? order : Math.max(0, this.#count + order + 1);
    if (position > this.#receivedAt) return position - 1;
    this.#receivedAt += 1;
    return position;
  }
}

function addition(name: string, field: AddedField, places: Places, answer: RspamdAnswer): Edit {
  const [text, order] = typeof field === "string" ? [field, undefined] : [field.value, field.order ?? field.index];
  const value = octetsOf(text, answer);
  const index = places.indexFor(order);
  return index === undefined ? { kind: "appendHeader", name, value } : { kind: "insertHeader", index, name, value };
}

/** The one field of that name, in place of all that are there. */
export function setHeader(name: string, value: string, { answer, message }: Change): Edit[] {
  const octets = octetsOf(value, answer);
  if (!message.headers.has(name)) return [{ kind: "appendHeader", name, value: octets }];
  return [
    { kind: "deleteHeader", name },
    { kind: "appendHeader", name, value: octets },
  ];
}

/** rspamd's subject, already encoded; without one, `template` around the old subject as it stands there. */
export function subjectEdit(template: string, { answer, message }: Change): Edit {
  const there = message.headers.get("Subject");
  const value = answer.subject === undefined ? around(template, there?.raw) : octetsOf(answer.subject, answer);
  return there === undefined
    ? { kind: "appendHeader", name: "Subject", value }
    : { kind: "replaceHeader", name: "Subject", nth: 1, value };
}

/** `template` with the field's value as it stands there in place of `%s`. */
function around(template: string, field: Buffer | undefined): Buffer {
  const at = template.indexOf("%s");
  if (at < 0) return Buffer.from(template);
  const text = field?.toString("latin1") ?? "";
  const old = Buffer.from(text.slice(text.indexOf(":") + 1).trim(), "latin1");
  const parts = [Buffer.from(template.slice(0, at)), old, Buffer.from(template.slice(at + 2))];
  return field === undefined ? Buffer.from(Buffer.concat(parts).toString().trim()) : Buffer.concat(parts);
}

/** Fields of strangers with names that only we may have written. `patterns` are lower case, `*` for anything. */
export function outsideEdits(patterns: readonly RegExp[], { headers }: Change["message"]): Edit[] {
  if (patterns.length === 0) return [];
  const names = new Set<string>();
  for (const { name } of headers) {
    if (name !== "" && patterns.some((pattern) => pattern.test(name))) names.add(name.toLowerCase());
  }
  return [...names].map((name) => ({ kind: "deleteHeader", name }));
}

export const editPart = (edit: Edit): EditPart => ({ kind: "edit", edit });

function octetsOf(text: string, { charset }: RspamdAnswer): Buffer {
  return Buffer.from(text, charset);
}

function bare(address: string): string {
  return address.replace(/^<(.*)>$/, "$1");
}
