/** What becomes of what is put aside, for hooks and for the log: typed events, and a line each. */
import { logText, type QueuedMessage } from "../model/index.ts";

export type QuarantineEvent =
  /** On stable storage. The session that brought it has the line in the log. */
  | { readonly kind: "putAside"; readonly message: QueuedMessage; readonly reason: string }
  /** `message` is in the queue now; `id` is what it had in the quarantine. */
  | { readonly kind: "released"; readonly message: QueuedMessage; readonly id: string }
  /** Gone for good. `message` is absent when it could not be read any more. */
  | {
      readonly kind: "deleted";
      readonly id: string;
      readonly message: QueuedMessage | undefined;
      readonly why: Deletion;
    };

/** `not taken`: it was put aside for some of its recipients, and then nobody took it for the others. */
export type Deletion = "expired" | "by the operator" | "not taken";

const deletions: Readonly<Record<Deletion, string>> = {
  expired: "expired and deleted",
  "by the operator": "deleted by the operator",
  "not taken": "deleted, not taken for the others",
};

const mostNamed = 5;

/** One line, safe and bounded. */
export function formatQuarantineEvent(event: Exclude<QuarantineEvent, { kind: "putAside" }>): string {
  if (event.kind === "deleted") return `${event.id}: quarantine: ${deletions[event.why]}`;
  const { id, message } = event;
  const { recipients } = message.envelope;
  const to = recipients.slice(0, mostNamed).map(({ address }) => `<${logText(address, 256)}>`);
  const others = recipients.length > mostNamed ? ` and ${recipients.length - mostNamed} more` : "";
  const renamed = message.id === id ? "" : ` as ${message.id}`;
  return `${id}: quarantine: released${renamed}, to=${to.join(",")}${others}`;
}
