/**
 * The Received field that the message will have, above what SpamAssassin sees of it: without it nobody tells it which client the mail comes from, and its checks of
 * addresses, names and relays would look at the hop before.
 */
import { receivedHeader, receivedProtocol, type ScanAsk } from "@postern/core";

const [space, tab] = [0x20, 0x09];

export function traceFor({ session, transaction, message }: ScanAsk, hostname: string, nowMs: number): Buffer {
  const first = (message.raw.chunks ?? message.raw.head)?.find((chunk) => chunk.length > 0)?.[0];
  const { recipients, smtputf8: utf8, id } = transaction;
  const [only, second] = recipients;
  const field = receivedHeader({
    helo: session.helo?.name ?? "unknown",
    clientName: session.client.name,
    clientAddress: session.client.address,
    hostname,
    protocol: receivedProtocol({
      verb: session.helo?.verb ?? "HELO",
      tls: session.tls !== undefined,
      authenticated: session.auth !== undefined,
      smtputf8: utf8,
    }),
    id,
    nowMs,
    tls: session.tls,
    recipient: second === undefined ? only?.address : undefined,
    utf8,
  });
  // What begins within a field has no header section: that line would become a part of ours.
  return Buffer.from(first === space || first === tab ? `${field}\r\n` : field);
}
