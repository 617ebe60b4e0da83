/** Envelope edits of message modifiers, carried out. Recipients that are added were not asked about relaying: plugins are the operator's. */
import { canonicalAddress } from "../address/mailbox.ts";
import { InvalidAnswer } from "../guard/guard.ts";
import type { Envelope, Recipient } from "../model/envelope.ts";
import type { EnvelopeEdit } from "../message/message.ts";

/** One plugin cannot turn a message into a flood. */
const mostRecipients = 10_000;

/**
 * The envelope after `edits`, in order. A recipient that is there already is not added again; removing one that is not there
 * changes nothing. Throws `InvalidAnswer` for an address that is none, and beyond 10,000 recipients.
 */
export function applyEnvelopeEdits<E extends Envelope>(envelope: E, edits: readonly EnvelopeEdit[]): E {
  if (edits.length === 0) return envelope;
  let { sender, smtputf8 } = envelope;
  const recipients = new Map(envelope.recipients.map((recipient) => [recipient.address, recipient]));
  for (const edit of edits) {
    // As it is there: "postmaster" alone, and what another mail server takes for one, are no addresses.
    if (edit.kind === "removeRecipient" && recipients.delete(edit.address)) continue;
    const address = edit.kind === "changeSender" && edit.address === "" ? "" : readAddress(edit.address);
    // What leaves with such an address needs a peer that knows it (RFC 6531).
    if (edit.kind !== "removeRecipient" && /[^\u0000-\u007f]/.test(address)) smtputf8 = true;
    if (edit.kind === "changeSender") sender = address;
    else if (edit.kind === "removeRecipient") recipients.delete(address);
    else if (!recipients.has(address)) recipients.set(address, { address, original: address });
    if (recipients.size > mostRecipients) throw new InvalidAnswer(`more than ${mostRecipients} recipients`);
  }
  return { ...envelope, sender, smtputf8, recipients: [...recipients.values()] };
}

function readAddress(text: unknown): string {
  const bare = typeof text === "string" ? text.trim().replace(/^<(.*)>$/s, "$1") : "";
  const address = canonicalAddress(bare, { smtputf8: true });
  if (address === undefined) throw new InvalidAnswer("an envelope edit needs an address");
  return address;
}

/** Each address once; the first stays, with its own DSN parameters. */
export function uniqueRecipients(recipients: readonly Recipient[]): readonly Recipient[] {
  const seen = new Map<string, Recipient>();
  for (const recipient of recipients) if (!seen.has(recipient.address)) seen.set(recipient.address, recipient);
  return seen.size === recipients.length ? recipients : [...seen.values()];
}
