/** What the SMTP front tells the log: typed events, and each as one line in the manner of Postfix. Built only when told. */
import { formatReply, logText, type Reply, type Session } from "../model/index.ts";

export type SmtpEvent =
  | { readonly kind: "connected"; readonly session: Session }
  | { readonly kind: "disconnected"; readonly session: Session; readonly messages: number; readonly commands: number }
  /** Turned away before there was a session: limits, a wrong PROXY header, a failed TLS handshake. */
  | { readonly kind: "turnedAway"; readonly listener: string; readonly address: string; readonly reason: string }
  | {
      readonly kind: "rejected";
      readonly session: Session;
      /** "CONNECT", "RCPT", "END-OF-MESSAGE". */
      readonly command: string;
      readonly reply: Reply;
      readonly id: string | undefined;
      readonly sender: string | undefined;
      readonly recipient: string | undefined;
    }
  | {
      readonly kind: "received";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly sizeBytes: number;
    }
  | {
      readonly kind: "discarded";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly text: string;
    }
  /** A policy's own remark, or something odd about a client. */
  | { readonly kind: "noted"; readonly session: Session; readonly id: string | undefined; readonly text: string }
  /** Something went wrong inside; the client was told to try again. */
  | { readonly kind: "failed"; readonly session: Session | undefined; readonly where: string; readonly error: unknown };

/** `name[192.0.2.1]`. */
export function formatClient({ client }: Session): string {
  return `${logText(client.name, 255)}[${client.address ?? "unknown"}]`;
}

function protocolOf(session: Session): string {
  return session.helo?.verb === "EHLO" ? "ESMTP" : "SMTP";
}

/** One line, safe and bounded. */
export function formatSmtpEvent(event: SmtpEvent): string {
  switch (event.kind) {
    case "connected":
      return `connect from ${formatClient(event.session)}`;
    case "disconnected":
      return `disconnect from ${formatClient(event.session)} messages=${event.messages} commands=${event.commands}`;
    case "turnedAway":
      return `NOQUEUE: turned away: ${logText(event.address, 64)}: ${logText(event.reason)}`;
    case "rejected": {
      const { session, sender, recipient } = event;
      const from = sender === undefined ? "" : ` from=<${logText(sender, 256)}>`;
      const to = recipient === undefined ? "" : ` to=<${logText(recipient, 256)}>`;
      const proto = session.helo === undefined ? "" : ` proto=${protocolOf(session)}`;
      const helo = session.helo === undefined ? "" : ` helo=<${logText(session.helo.name, 255)}>`;
      const said = logText(formatReply(event.reply));
      return `${event.id ?? "NOQUEUE"}: reject: ${event.command} from ${formatClient(session)}: ${said};${from}${to}${proto}${helo}`;
    }
    case "received":
      return `${event.id}: client=${formatClient(event.session)}, from=<${logText(event.sender, 256)}>, size=${event.sizeBytes}, nrcpt=${event.recipients}`;
    case "discarded":
      return `${event.id}: discard: END-OF-MESSAGE from ${formatClient(event.session)}: ${logText(event.text)}; from=<${logText(event.sender, 256)}> nrcpt=${event.recipients}`;
    case "noted":
      return `${event.id ?? "NOQUEUE"}: ${formatClient(event.session)}: ${logText(event.text)}`;
    case "failed":
      return `${event.session === undefined ? "" : `${formatClient(event.session)}: `}${event.where}: ${errorText(event.error)}`;
  }
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return logText(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return logText(`${error.name}: ${error.message}${cause}`);
}
