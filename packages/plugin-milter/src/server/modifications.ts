/** Changes of a message and its envelope as a mail server is told of them. */
import type { Changes, HeaderChange, Recipient } from "@postern/core";
import { actions, steps, toOctets, type Modification, type Terms } from "../protocol/index.ts";

/** The mail server has not offered what a change needs. */
export class Impossible extends Error {}

/**
 * Postfix and Sendmail have put their own Received on top by then; they tell nobody of it, count it when a field is inserted, and do not
 * when one is changed.
 */
const ownReceived = 1;
const longestReason = 256;

/** All but the body, in the order in which they are to be carried out. Throws `Impossible`. */
export function modifications({ sender, removed, added, headers }: Changes, terms: Terms): readonly Modification[] {
  const may = (action: number, what: string): void => {
    if ((terms.actions & action) === 0) throw new Impossible(`the mail server lets nobody ${what}`);
  };
  const told: Modification[] = [];
  if (sender !== undefined) {
    may(actions.changeSender, "change the sender");
    told.push({ kind: "changeSender", address: toOctets(`<${sender}>`) });
  }
  if (removed.length > 0) may(actions.deleteRecipients, "remove recipients");
  for (const { original } of removed) told.push({ kind: "deleteRecipient", address: toOctets(`<${original}>`) });
  if (added.length > 0) may(actions.addRecipients, "add recipients");
  for (const recipient of added) told.push(addition(recipient, terms));
  if (headers.length > 0) {
    may(actions.addHeaders, "add header fields");
    if (headers.some(({ kind }) => kind === "change" || kind === "delete")) {
      may(actions.changeHeaders, "change header fields");
    }
    const spaced = (terms.steps & steps.leadingSpace) !== 0;
    for (const change of headers) told.push(headerModification(change, spaced));
  }
  return told;
}

export function requireBody({ actions: offered }: Terms): void {
  if ((offered & actions.changeBody) === 0) throw new Impossible("the mail server lets nobody change the body");
}

/** Where it cannot be put aside it must not pass either. Throws `Impossible`. */
export function aside(reason: string, { actions: offered }: Terms): Modification {
  if ((offered & actions.quarantine) === 0) throw new Impossible("the mail server lets nobody put a message aside");
  return { kind: "quarantine", reason: reason.replace(/[^\u0020-\u007e]/g, "?").slice(0, longestReason) };
}

function addition({ address, notify }: Recipient, terms: Terms): Modification {
  const withArguments = (terms.actions & actions.addRecipientsWithArguments) !== 0;
  return {
    kind: "addRecipient",
    address: toOctets(`<${address}>`),
    ...(withArguments && notify !== undefined && { args: `NOTIFY=${notify.join(",").toUpperCase()}` }),
  };
}

function headerModification(change: HeaderChange, spaced: boolean): Modification {
  const { name } = change;
  switch (change.kind) {
    case "delete":
      return { kind: "changeHeader", index: change.nth, name, value: "" };
    case "change":
      return { kind: "changeHeader", index: change.nth, name, value: valueOf(change.value, spaced) };
    case "insert":
      return { kind: "insertHeader", index: change.index + ownReceived, name, value: valueOf(change.value, spaced) };
    case "append":
      return { kind: "addHeader", name, value: valueOf(change.value, spaced) };
  }
}

/** Lines are parted by LF. An empty value would be no field at all. */
function valueOf(value: Buffer, spaced: boolean): string {
  const text = value.toString("latin1").replaceAll("\r\n", "\n").replaceAll("\0", "");
  if (spaced) return text === "" ? " " : text;
  const bare = text.replace(/^[ \t]/, "");
  return bare === "" ? " " : bare;
}
