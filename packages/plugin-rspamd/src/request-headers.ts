/** What rspamd is told beside the message: who sent it to whom, as its milter would hear it. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Session, Transaction } from "@postern/core";

export interface RequestSettings {
  /** Stands in `Authentication-Results`. */
  readonly hostname: string;
  readonly passAll: boolean;
  readonly settingsId: string | undefined;
  readonly mtaTag: string | undefined;
  readonly password: string | undefined;
}

/** rspamd takes 80 KiB of headers in a request and drops the connection beyond; recipients that do not fit are not told. */
const mostRecipientOctets = 60 * 1024;

export function requestHeaders(
  session: Session,
  transaction: Transaction,
  settings: RequestSettings,
): OutgoingHttpHeaders {
  const { client, helo, auth, tls } = session;
  const { recipients } = transaction;
  const [only] = recipients;
  const given: Readonly<Record<string, string | undefined>> = {
    From: transaction.sender === "" ? "<>" : transaction.sender,
    Ip: client.address,
    Hostname: client.name === "unknown" ? undefined : client.name,
    Helo: helo?.name,
    User: auth?.identity,
    "Queue-Id": transaction.id,
    "Deliver-To": recipients.length === 1 ? only?.address : undefined,
    "MTA-Name": settings.hostname,
    "MTA-Tag": settings.mtaTag,
    "Settings-ID": settings.settingsId,
    "TLS-Cipher": tls?.cipher,
    "TLS-Version": tls?.protocol,
    Flags: "milter,body_block",
    Pass: settings.passAll ? "all" : undefined,
    Password: settings.password,
  };
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(given)) if (value !== undefined) headers[name] = headerText(value);
  let octets = 0;
  const told = recipients
    .map(({ address }) => headerText(address))
    .filter((text) => (octets += text.length + 8) <= mostRecipientOctets);
  if (told.length > 0) headers["Rcpt"] = told;
  return headers;
}

/** UTF-8 as octets, since Node writes headers in latin1; nothing that ends a line. */
function headerText(value: string): string {
  return Buffer.from(value, "utf8")
    .toString("latin1")
    .replace(/[\u0000-\u001f\u007f]+/g, " ");
}
