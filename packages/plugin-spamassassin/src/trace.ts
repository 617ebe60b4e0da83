/**
 * The Received field that the message will have, above what SpamAssassin sees of it: without it nobody tells it which client the mail comes from, and its checks of
 * addresses, names and relays would look at the hop before.
 */
import { receivedHeader, receivedProtocol, type ScanAsk } from "@postern/core";

const none = Buffer.alloc(0);
const [space, tab] = [0x20, 0x09];

/** Empty where the message begins in the middle of a field: that line would become a part of ours. */
export function traceFor({ session, transaction, message }: ScanAsk, hostname: string, nowMs: number): Buffer {
  const [top] = message.headers;
  const first = top?.raw[0];
  if (first === space || first === tab) return none;
  const { recipients, smtputf8: utf8, id } = transaction;
  const [only, second] = recipients;
  return Buffer.from(
    receivedHeader({
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
    }),
  );
}
