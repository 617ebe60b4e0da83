/** Mail that leaves: what a transport is given, with the addresses that the world is to see. */
import { openMessage, type Blob, type MessageOptions } from "../message/index.ts";
import { isAscii } from "../address/index.ts";
import { isPromise, type Envelope, type Recipient } from "../model/index.ts";
import { rewriteHeader } from "./header-addresses.ts";
import { checkAddress } from "./sound-address.ts";
import type { RewriteAddress } from "./rewriter.ts";

/** The part of a delivery that has addresses. */
export interface OutboundMail {
  readonly envelope: Omit<Envelope, "recipients">;
  readonly recipients: readonly Recipient[];
  readonly content: Blob;
}

/**
 * Sender, recipients (each in its old place) and header of `mail`. The null sender stays. Throws what `rewrite` throws; rejects when the
 * content cannot be read.
 */
export async function rewriteOutbound<M extends OutboundMail>(
  mail: M,
  rewrite: RewriteAddress,
  options: MessageOptions = {},
): Promise<M> {
  const { sender } = mail.envelope;
  const newSender = sender === "" ? "" : checkAddress(await rewrite(sender, "envelope_sender"));
  const recipients: Recipient[] = [];
  for (const recipient of mail.recipients) {
    const answer = rewrite(recipient.address, "envelope_recipient");
    const address = isPromise(answer) ? await answer : answer;
    recipients.push(address === recipient.address ? recipient : { ...recipient, address: checkAddress(address) });
  }
  const message = await openMessage(mail.content, options);
  const { raw } = await rewriteHeader(message, rewrite);
  const utf8 = !isAscii(newSender) || recipients.some(({ address }) => !isAscii(address));
  const envelope = { ...mail.envelope, sender: newSender, smtputf8: mail.envelope.smtputf8 || utf8 };
  return { ...mail, envelope, recipients, content: raw };
}
