/** Who or what a stage is about, in Postfix's words: `<x>: Sender address rejected: …`. */
import type { Ask } from "./restriction.ts";

export interface Subject {
  /** What stands in the angle brackets. */
  readonly name: string;
  readonly label:
    "Client host" | "Helo command" | "Sender address" | "Recipient address" | "Data command" | "End-of-data";
}

export function describeSubject({ stage, session, transaction, recipient }: Ask): Subject {
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
