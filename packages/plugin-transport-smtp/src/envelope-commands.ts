/**
 * MAIL and RCPT for one peer, by what it offers: SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461).
 * What the peer cannot carry is found here, before it is asked.
 */
import { isAscii } from "node:buffer";
import { bounced, domainToAscii, type Blob, type DeliveryRequest, type Outcome, type Recipient } from "@postern/core";

export interface EnvelopeCommands {
  /** With CRLF, as the rest. */
  readonly mail: string;
  readonly rcpt: readonly { readonly recipient: Recipient; readonly line: string }[];
  /** Recipients that this peer cannot be given. */
  readonly refused: readonly { readonly recipient: Recipient; readonly outcome: Outcome }[];
}

const nonAscii = /[^\x00-\x7f]/;

/** Rejects with what reading the content rejects with. */
export async function composeEnvelope(
  request: Pick<DeliveryRequest, "envelope" | "content">,
  recipients: readonly Recipient[],
  extensions: ReadonlyMap<string, string>,
  remote: string,
): Promise<EnvelopeCommands> {
  const { envelope, content } = request;
  const refuseAll = (text: string, enhanced: string): EnvelopeCommands => {
    const outcome = bounced(text, { enhanced, remote });
    return { mail: "", rcpt: [], refused: recipients.map((recipient) => ({ recipient, outcome })) };
  };

  let mail = "";
  const limit = Number(extensions.get("SIZE") ?? "");
  if (extensions.has("SIZE")) {
    if (limit > 0 && content.sizeBytes > limit) {
      const text = `message size ${content.sizeBytes} exceeds size limit ${limit} of server ${remote}`;
      return refuseAll(text, "5.3.4");
    }
    mail += ` SIZE=${content.sizeBytes}`;
  }

  if (envelope.body === "8bitmime") {
    if (extensions.has("8BITMIME")) mail += " BODY=8BITMIME";
    // RFC 6152 §3: without the extension 8-bit content is to be converted or returned; we do not convert.
    else if (!(await isAllAscii(content))) {
      return refuseAll(`8-bit content, and 8BITMIME was not offered by ${remote}`, "5.6.3");
    }
  }

  const utf8Offered = extensions.has("SMTPUTF8");
  const utf8Wanted = envelope.smtputf8 || nonAscii.test(envelope.sender);
  if (utf8Offered && (utf8Wanted || recipients.some(({ address }) => nonAscii.test(address)))) mail += " SMTPUTF8";
  let sender: string | undefined = envelope.sender;
  if (!utf8Offered && utf8Wanted) {
    sender = toAscii(envelope.sender);
    if (sender === undefined || (envelope.smtputf8 && !(await isHeaderAscii(content)))) {
      return refuseAll(utf8Missing(remote), "5.6.7");
    }
  }

  const dsn = extensions.has("DSN");
  if (dsn && envelope.ret !== undefined) mail += ` RET=${envelope.ret.toUpperCase()}`;
  if (dsn && envelope.envid !== undefined) mail += ` ENVID=${envelope.envid}`;

  const rcpt: { recipient: Recipient; line: string }[] = [];
  const refused: { recipient: Recipient; outcome: Outcome }[] = [];
  for (const recipient of recipients) {
    const address = utf8Offered ? recipient.address : toAscii(recipient.address);
    if (address === undefined) {
      refused.push({ recipient, outcome: bounced(utf8Missing(remote), { enhanced: "5.6.7", remote }) });
    } else if (!isCommandSafe(address)) {
      refused.push({ recipient, outcome: bounced("address cannot be sent in SMTP", { enhanced: "5.1.3" }) });
    } else {
      rcpt.push({ recipient, line: `RCPT TO:<${address}>${dsn ? dsnParameters(recipient) : ""}\r\n` });
    }
  }
  if (!isCommandSafe(sender)) return refuseAll("sender address cannot be sent in SMTP", "5.1.7");
  return { mail: `MAIL FROM:<${sender}>${mail}\r\n`, rcpt, refused };
}

function utf8Missing(remote: string): string {
  return `SMTPUTF8 is required, but was not offered by ${remote}`;
}

/** RFC 3461 §4; ORCPT and ENVID are xtext as they came. */
function dsnParameters({ notify, orcpt }: Recipient): string {
  const conditions = notify === undefined ? "" : ` NOTIFY=${notify.join(",").toUpperCase()}`;
  return orcpt === undefined ? conditions : `${conditions} ORCPT=${orcpt}`;
}

/** The last wall before the wire: no control octet in an address, wherever it came from. */
function isCommandSafe(address: string): boolean {
  return !/[\x00-\x1f\x7f]/.test(address);
}

/** Domain by A-labels; `undefined` when the local part needs SMTPUTF8 or the domain is none. */
function toAscii(address: string): string | undefined {
  if (!nonAscii.test(address)) return address;
  const at = address.lastIndexOf("@");
  const localPart = address.slice(0, at);
  const domain = domainToAscii(address.slice(at + 1));
  return at < 0 || nonAscii.test(localPart) || domain === null ? undefined : `${localPart}@${domain}`;
}

async function isAllAscii(content: Blob): Promise<boolean> {
  for await (const chunk of content.chunks ?? content.read()) if (!isAscii(chunk)) return false;
  return true;
}

/** Of the header section; a message without a blank line is all header. */
async function isHeaderAscii(content: Blob): Promise<boolean> {
  let tail = "";
  for await (const chunk of content.chunks ?? content.read()) {
    const text = tail + chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (nonAscii.test(end < 0 ? text : text.slice(0, end))) return false;
    if (end >= 0) return true;
    tail = text.slice(-3);
  }
  return true;
}
