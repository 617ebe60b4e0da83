/** What the SMTP front tells the log: typed events, and each as one line in the manner of Postfix. Built only when told. */
import type { Decision, MessageEffect, PolicyNote, Stage } from "../policy/index.ts";
import { describeEffects } from "./effects.ts";
import { foreignField } from "./log-line.ts";
import { formatReply, logText, type Reply, type Session } from "../model/index.ts";

/** What a refusal is found by, and whose it is. */
export interface RefusalDecision {
  /** Unique among the decisions and messages of a gateway. */
  readonly id: string;
  /** `undefined` for the core's own rules. */
  readonly by: Decider | undefined;
}

/** "hook" for a plugin's tap: `path` is the hook then. */
export type Decider = Omit<Decision, "list"> & { readonly list: Decision["list"] | "hook" };

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
      readonly decision: RefusalDecision;
    }
  | {
      readonly kind: "received";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly sizeBytes: number;
      /** What the policy made of it. */
      readonly effects: readonly MessageEffect[];
    }
  | {
      readonly kind: "discarded";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly text: string;
      /** Whom it concerns, when others fare otherwise. */
      readonly to?: readonly string[] | undefined;
    }
  | {
      readonly kind: "quarantined";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly sizeBytes: number;
      readonly reason: string;
      /** Whom it concerns, when others fare otherwise. */
      readonly to?: readonly string[] | undefined;
    }
  /** Taken by somebody else while the client waited; `reply` is what the client was told. */
  | {
      readonly kind: "handedOver";
      readonly session: Session;
      readonly id: string;
      readonly sender: string;
      readonly recipients: number;
      readonly sizeBytes: number;
      readonly reply: Reply;
    }
  /** An AUTH that came to its end. `identity` is what the client said, and may be anything. */
  | {
      readonly kind: "login";
      readonly session: Session;
      readonly mechanism: string;
      readonly identity: string;
      readonly outcome: "accepted" | "refused" | "unavailable";
    }
  /** A policy's own remark. */
  | ({ readonly kind: "remarked" } & PolicyNote)
  /** Something odd about a client. */
  | { readonly kind: "noted"; readonly session: Session; readonly id: string | undefined; readonly text: string }
  /** Something went wrong inside; the client was told to try again. */
  | { readonly kind: "failed"; readonly session: Session | undefined; readonly where: string; readonly error: unknown };

/** `name[192.0.2.1]`. */
function formatClient({ client }: Session): string {
  return `${logText(client.name, 255)}[${client.address ?? "unknown"}]`;
}

function protocolOf(session: Session): string {
  return session.helo?.verb === "EHLO" ? "ESMTP" : "SMTP";
}

function formatLogin({ auth }: Session): string {
  return auth === undefined
    ? ""
    : `, sasl_method=${logText(auth.mechanism, 64)}, sasl_username=${logText(auth.identity, 255)}`;
}

function formatEffects(effects: readonly MessageEffect[]): string {
  return effects.length === 0
    ? ""
    : describeEffects(effects)
        .map((effect) => `, ${logText(effect)}`)
        .join("");
}

/** A line holds no more of them. */
const mostNamed = 10;

function formatSome(addresses: readonly string[] = []): string {
  const named = addresses.slice(0, mostNamed).map((address) => ` to=<${logText(address, 256)}>`);
  return `${named.join("")}${addresses.length > mostNamed ? " to=…" : ""}`;
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
      const { session, reply, command } = event;
      const fields = formatFields(event).join(" ");
      return `${event.id ?? "NOQUEUE"}: reject: ${command} from ${formatClient(session)}: ${logText(formatReply(reply))}; ${fields}`;
    }
    case "received":
      return `${event.id}: client=${formatClient(event.session)}, from=<${logText(event.sender, 256)}>, size=${event.sizeBytes}, nrcpt=${event.recipients}${formatLogin(event.session)}${formatEffects(event.effects)}`;
    case "discarded":
      return `${event.id}: discard: END-OF-MESSAGE from ${formatClient(event.session)}: ${logText(event.text)}; from=<${logText(event.sender, 256)}> nrcpt=${event.recipients}${formatSome(event.to)}`;
    case "quarantined":
      return `${event.id}: quarantine: END-OF-MESSAGE from ${formatClient(event.session)}: ${logText(event.reason)}; from=<${logText(event.sender, 256)}> size=${event.sizeBytes} nrcpt=${event.recipients}${formatSome(event.to)}`;
    case "handedOver":
      return `${event.id}: proxy-accept: END-OF-MESSAGE from ${formatClient(event.session)}: ${logText(formatReply(event.reply))}; from=<${logText(event.sender, 256)}> size=${event.sizeBytes} nrcpt=${event.recipients}`;
    case "login": {
      // As Postfix says it, so that what reads its log reads ours.
      const { session, mechanism, identity, outcome } = event;
      const attempt = `${formatClient(session)}: SASL ${mechanism} authentication`;
      const who = `sasl_username=${logText(identity, 255)}`;
      if (outcome === "accepted") return `${attempt} succeeded, ${who}`;
      return `${attempt} failed: ${outcome === "refused" ? "authentication failure" : "temporary failure"}, ${who}`;
    }
    case "remarked": {
      const { session, text } = event;
      const [, label = "note", rest = ""] = remark.exec(text) ?? [text, "note", text];
      const fields = [...conversationFields(event), ...deciderFields(event.by)].join(" ");
      const said = rest === "" ? "" : ` ${logText(rest)}`;
      return `${event.id ?? "NOQUEUE"}: ${label}: ${commandOf(event)} from ${formatClient(session)}:${said}; ${fields}`;
    }
    case "noted":
      return `${event.id ?? "NOQUEUE"}: ${formatClient(event.session)}: ${logText(event.text)}`;
    case "failed":
      return `${event.session === undefined ? "" : `${formatClient(event.session)}: `}${event.where}: ${errorText(event.error)}`;
  }
}

const remark = /^(reject_warning|warn|info)(?:: (.*))?$/s;

const commands: Readonly<Record<Stage, string>> = {
  connect: "CONNECT",
  helo: "HELO",
  mail: "MAIL",
  relay: "RCPT",
  rcpt: "RCPT",
  data: "DATA",
  message: "END-OF-MESSAGE",
};

/** Delayed lists are asked at RCPT. */
function commandOf({ stage, recipient, session }: PolicyNote): string {
  if (stage === "data" || stage === "message") return commands[stage];
  if (recipient !== undefined) return commands.rcpt;
  return stage === "helo" ? (session.helo?.verb ?? commands.helo) : commands[stage];
}

/** By the grammar of `log-line.ts`. */
function formatFields(event: Extract<SmtpEvent, { kind: "rejected" }>): string[] {
  const { id, by } = event.decision;
  return [...conversationFields(event), `d=${id}`, ...(by === undefined ? [] : deciderFields(by))];
}

interface Conversation {
  readonly session: Session;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
}

function conversationFields({ session, sender, recipient }: Conversation): string[] {
  const fields: string[] = [];
  if (sender !== undefined) fields.push(foreignField("from", sender));
  if (recipient !== undefined) fields.push(foreignField("to", recipient));
  if (session.helo !== undefined) {
    fields.push(`proto=${protocolOf(session)}`, foreignField("helo", session.helo.name, 255));
  }
  if (session.auth !== undefined) fields.push(foreignField("auth", session.auth.identity));
  return fields;
}

function deciderFields(by: Decider): string[] {
  const fields = [`by=${by.list.replaceAll(" ", "-")}`, foreignField("path", by.path)];
  if (by.word !== by.list) fields.push(foreignField("word", by.word));
  fields.push(foreignField("plugin", by.plugin, 64));
  if (by.match !== undefined) fields.push(foreignField("table", by.match.table), foreignField("key", by.match.key));
  if (by.failure !== undefined) fields.push(`failure=${by.failure.reason}`, foreignField("error", by.failure.text));
  return fields;
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return logText(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return logText(`${error.name}: ${error.message}${cause}`);
}
