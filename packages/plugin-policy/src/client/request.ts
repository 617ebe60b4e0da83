/** A question as Postfix's smtpd asks it: the attributes of its protocol in smtpd's order, with what smtpd sends for the unknown. */
import { parseMailbox, type Ask, type Session, type Stage } from "@postern/core";

/**
 * The version of Postfix whose attributes these are. Services read it to know what they may expect.
 */
const spokenVersion = "3.8.0";
const spokenLevel = "3.6";

/** Ends with the blank line. */
export function composeRequest({ stage, session, transaction, recipient, message }: Ask, context: string): string {
  const { client, server, helo, tls, auth } = session;
  const recipients = transaction?.recipients ?? [];
  const late = stage === "data" || stage === "message";
  const only = late && recipients.length === 1 ? recipients[0] : recipient;
  // smtpd opens its queue file at the first recipient that it takes.
  const queueId = transaction !== undefined && recipients.length > 0 ? transaction.id : "";
  const instance = transaction !== undefined && (late || recipient !== undefined) ? transaction.id : "";
  const size = (stage === "message" ? message?.sizeBytes : undefined) ?? transaction?.declaredSizeBytes ?? 0;
  const { submitter = "" } = transaction ?? {};
  const name = stage === "connect" && transaction === undefined ? "" : (helo?.name ?? "");
  return `request=smtpd_access_policy
protocol_state=${recipient === undefined || late ? stateOf(stage, session) : "RCPT"}
protocol_name=${transaction !== undefined && helo?.verb === "EHLO" ? "ESMTP" : "SMTP"}
client_address=${clean(client.address ?? "unknown")}
client_name=${clean(client.name)}
client_port=${client.port ?? "unknown"}
reverse_client_name=${clean(client.reverseName)}
server_address=${clean(server.address)}
server_port=${server.port}
helo_name=${clean(name)}
sender=${clean(internal(transaction?.sender ?? ""))}
recipient=${clean(internal(only?.address ?? ""))}
recipient_count=${late ? recipients.length : 0}
queue_id=${clean(queueId)}
instance=${clean(instance)}
size=${size}
etrn_domain=
stress=
sasl_method=${clean(auth?.mechanism ?? "")}
sasl_username=${clean(auth?.identity ?? "")}
sasl_sender=${clean(submitter === "<>" ? "" : submitter)}
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=${clean(tls?.protocol ?? "")}
encryption_cipher=${clean(tls?.cipher ?? "")}
encryption_keysize=${tls?.bits ?? 0}
policy_context=${clean(context)}
compatibility_level=${spokenLevel}
mail_version=${spokenVersion}

`;
}

/** A delayed list is asked at RCPT, and then there is a recipient. */
function stateOf(stage: Stage, { helo }: Session): string {
  switch (stage) {
    case "connect":
      return "CONNECT";
    case "helo":
      return helo?.verb ?? "EHLO";
    case "mail":
      return "MAIL";
    case "relay":
    case "rcpt":
      return "RCPT";
    case "data":
      return "DATA";
    case "message":
      return "END-OF-MESSAGE";
  }
}

const control = /[\u0000-\u001f\u007f]/;

/** One line whatever it is given, as Postfix's printable(). */
function clean(text: string): string {
  return control.test(text) ? text.replace(/[\u0000-\u001f\u007f]/g, "?") : text;
}

/** Without the quoting of the wire, as smtpd has addresses inside. */
function internal(address: string): string {
  if (!address.startsWith('"')) return address;
  const mailbox = parseMailbox(address, { smtputf8: true });
  return mailbox.ok ? `${mailbox.localPart}@${mailbox.domain}` : address;
}
