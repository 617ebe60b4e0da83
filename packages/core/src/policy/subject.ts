/** Who or what a stage is about, in Postfix's words: `<x>: Sender address rejected: …`. */
import type { Ask, Stage } from "./restriction.ts";

export interface Subject {
  /** What stands in the angle brackets. */
  readonly name: string;
  readonly label:
    | "Client host"
    | "Unverified Client host"
    | "SASL login name"
    | "Helo command"
    | "Sender address"
    | "Recipient address"
    | "Data command"
    | "End-of-data";
}

/** What the list that is asked is about; for words that a table named, what that table was asked about. */
export function describeSubject(ask: Ask): Subject {
  return ask.subject ?? subjectOf(ask.stage, ask);
}

/** What a stage is about: for words that are always about the client, the sender and so on, in whatever list they stand. */
export function subjectOf(stage: Stage, { session, transaction, recipient }: Omit<Ask, "stage">): Subject {
  switch (stage) {
    case "connect":
      return { name: `${session.client.name}[${session.client.address ?? "unknown"}]`, label: "Client host" };
    case "helo":
      return { name: session.helo?.name ?? "", label: "Helo command" };
    case "mail":
      return { name: transaction?.sender ?? "", label: "Sender address" };
    case "relay":
    case "rcpt":
      return { name: recipient?.address ?? "", label: "Recipient address" };
    case "data":
      return { name: "DATA", label: "Data command" };
    case "message":
      return { name: "END-OF-MESSAGE", label: "End-of-data" };
  }
}

/** `<name>: Label rejected: text`. */
export function rejectedText({ name, label }: Subject, text: string): string {
  return `<${name}>: ${label} rejected: ${text}`;
}
