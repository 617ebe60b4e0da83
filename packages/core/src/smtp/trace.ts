/** What a message gets before it is queued: effects' header fields, missing fields of our own clients, Received on top. */
import {
  dateHeader,
  header,
  messageIdHeader,
  prependFields,
  receivedHeader,
  receivedProtocol,
  type FieldText,
  type Message,
} from "../message/index.ts";
import { isOwnClient, type Effect, type Origin, type Transaction } from "../model/index.ts";
import type { Dialogue } from "./dialogue.ts";

function protocolOf({ session }: Dialogue, { smtputf8 }: Pick<Transaction, "smtputf8">): string {
  return receivedProtocol({
    verb: session.helo?.verb ?? "HELO",
    tls: session.tls !== undefined,
    authenticated: session.auth !== undefined,
    smtputf8,
  });
}

/** With Date and Message-ID where our own client left them out (RFC 6409 §8.1, §8.3): before anybody signs it. */
export function completeMessage({ session, hostname, host }: Dialogue, id: string, message: Message): Message {
  if (!isOwnClient(session)) return message;
  const nowMs = host.clock.now();
  const fields: FieldText[] = [];
  if (!message.headers.has("date")) fields.push(dateHeader(nowMs));
  if (!message.headers.has("message-id")) fields.push(messageIdHeader({ id, hostname, nowMs }));
  return fields.length === 0 ? message : prependFields(message, ...fields);
}

/** From the top: Received, the fields that effects prepend. */
export function finishMessage(
  dialogue: Dialogue,
  transaction: Transaction,
  message: Message,
  effects: readonly Effect[],
  nowMs: number,
): Message {
  const { session, hostname } = dialogue;
  const { id, smtputf8, recipients } = transaction;
  const [first, second] = recipients;
  const fields: FieldText[] = [
    receivedHeader({
      helo: session.helo?.name ?? "unknown",
      clientName: session.client.name,
      clientAddress: session.client.address,
      hostname,
      protocol: protocolOf(dialogue, transaction),
      id,
      nowMs,
      tls: session.tls,
      authenticated: dialogue.place.settings.authenticatedHeader === true ? session.auth?.identity : undefined,
      recipient: second === undefined ? first?.address : undefined,
      utf8: smtputf8,
    }),
  ];
  for (const effect of effects) {
    if (effect.kind === "prepend") fields.push(header(effect.name, effect.value, { utf8: smtputf8 }));
  }
  return prependFields(message, ...fields);
}

export function describeOrigin(dialogue: Dialogue, transaction: Transaction): Origin {
  const { session } = dialogue;
  return {
    sessionId: session.id,
    clientAddress: session.client.address,
    clientName: session.client.name,
    helo: session.helo?.name ?? "",
    protocol: protocolOf(dialogue, transaction),
    listener: session.listener,
    trusted: isOwnClient(dialogue.session),
  };
}
