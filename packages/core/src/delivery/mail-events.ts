/** What became of each recipient, for the log: typed events, and each as one line in the manner of Postfix. */
import { logText, type Outcome, type QueuedMessage, type Recipient } from "../model/index.ts";

export type MailEvent =
  | {
      /** `delivered`, `deferred` or `bounced`. */
      readonly kind: Outcome["status"];
      readonly message: QueuedMessage;
      readonly recipient: Recipient;
      readonly outcome: Outcome;
      /** Since arrival, milliseconds. */
      readonly delayMs: number;
    }
  /** Every recipient is settled and the message has left the queue. */
  | { readonly kind: "removed"; readonly id: string }
  /** A report is on its way to the sender; `reportId` is its own queue id. */
  | { readonly kind: "bounceSent"; readonly id: string; readonly reportId: string }
  /** What went wrong inside; the message stays in the queue. */
  | { readonly kind: "troubled"; readonly id: string; readonly text: string };

const words: Readonly<Record<Outcome["status"], string>> = {
  delivered: "sent",
  deferred: "deferred",
  bounced: "bounced",
};

/** One line, safe and bounded. */
export function formatMailEvent(event: MailEvent): string {
  switch (event.kind) {
    case "delivered":
    case "deferred":
    case "bounced": {
      const { message, recipient, outcome, delayMs } = event;
      const original =
        recipient.original === recipient.address ? "" : ` orig_to=<${logText(recipient.original, 256)}>,`;
      const relay = logText(outcome.remote ?? "none", 300);
      const tls = outcome.tls === undefined ? "" : ` tls=${logText(outcome.tls, 80)},`;
      return `${message.id}: to=<${logText(recipient.address, 256)}>,${original} relay=${relay},${tls} delay=${(delayMs / 1000).toFixed(2)}, dsn=${outcome.enhanced}, status=${words[event.kind]} (${logText(outcome.text)})`;
    }
    case "removed":
      return `${event.id}: removed`;
    case "bounceSent":
      return `${event.id}: sender non-delivery notification: ${event.reportId}`;
    case "troubled":
      return `${event.id}: ${logText(event.text)}`;
  }
}
