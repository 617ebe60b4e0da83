/** What deliveries want to know of a message in the queue. */
import type { QueuedMessage } from "../model/index.ts";
import { onHold, type QueueEntry } from "../queue/index.ts";
import type { Failure } from "./delivery-host.ts";

/** The operator or the policy wants it to stay. */
export function isHeld({ schedule }: QueueEntry): boolean {
  return schedule?.nextAttemptAt === onHold;
}

/** Recipients that failed for good. */
export function failuresOf({ message, settled }: QueueEntry): readonly Failure[] {
  const failures: Failure[] = [];
  for (const { index, outcome } of settled) {
    const recipient = message.envelope.recipients[index];
    if (recipient !== undefined && outcome.status === "bounced") failures.push({ recipient, outcome });
  }
  return failures;
}

/** What the scheduler has to know of every message. */
export function headOf({ id, arrivedAt, envelope }: QueuedMessage) {
  return { id, arrivedAt, bounce: envelope.sender === "" };
}
