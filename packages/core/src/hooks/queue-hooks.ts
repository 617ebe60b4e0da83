/** Hooks of the queue and the quarantine, of routing and delivery, of table lookups and of the gateway's life. */
import type { Declare } from "./declare.ts";
import type { Outcome, QueuedMessage, Recipient, Route } from "../model/index.ts";

export const createQueueHooks = (declare: Declare) =>
  Object.freeze({
    enqueued: declare.report<[message: QueuedMessage]>(
      "queue.enqueued",
      ["message"],
      "A message is on stable storage; its client is told 250.",
    ),
    delivered: declare.report<[message: QueuedMessage, recipient: Recipient, outcome: Outcome]>(
      "queue.delivered",
      ["message", "recipient", "outcome"],
      "A recipient was delivered.",
    ),
    deferred: declare.report<[message: QueuedMessage, recipient: Recipient, outcome: Outcome]>(
      "queue.deferred",
      ["message", "recipient", "outcome"],
      "An attempt for a recipient failed for now; it will be tried again.",
    ),
    bounced: declare.report<[message: QueuedMessage, recipient: Recipient, outcome: Outcome]>(
      "queue.bounced",
      ["message", "recipient", "outcome"],
      "A recipient failed for good; its sender is told unless it is the null sender.",
    ),
    removed: declare.report<[message: QueuedMessage]>(
      "queue.removed",
      ["message"],
      "Every recipient is settled, or the operator removed the message: it has left the queue.",
    ),
  });

export const createQuarantineHooks = (declare: Declare) =>
  Object.freeze({
    added: declare.report<[message: QueuedMessage, reason: string]>(
      "quarantine.added",
      ["message", "reason"],
      "A message was put aside and is on stable storage; its client is told 250.",
    ),
    released: declare.report<[message: QueuedMessage, id: string]>(
      "quarantine.released",
      ["message", "id"],
      "An operator released a message: it is in the queue as `message`; `id` is what it had in the quarantine.",
    ),
    deleted: declare.report<
      [id: string, why: "expired" | "by the operator" | "not taken", message: QueuedMessage | undefined]
    >(
      "quarantine.deleted",
      ["id", "why", "message"],
      "A message has left the quarantine for good; not taken: those for whom it was not put aside did not get it, and its client was told so. `message` is undefined when it could not be read any more.",
    ),
  });

export const createDeliveryHooks = (declare: Declare) =>
  Object.freeze({
    route: declare.route<[recipient: Recipient, message: QueuedMessage]>(
      "delivery.route",
      ["route", "recipient", "message"],
      "Where a recipient goes. A tap returns another route, or undefined to leave it. A failed tap leaves the recipient deferred.",
    ),
    attempt: declare.report<[message: QueuedMessage, recipients: readonly Recipient[], route: Route]>(
      "delivery.attempt",
      ["message", "recipients", "route"],
      "A delivery begins.",
    ),
    finished: declare.report<[message: QueuedMessage, route: Route, destination: "alive" | "dead" | "throttled"]>(
      "delivery.finished",
      ["message", "route", "destination"],
      "A delivery ended, with how the destination fared.",
    ),
  });

export const createTableHooks = (declare: Declare) =>
  Object.freeze({
    lookup: declare.report<[table: string, key: string, result: "found" | "notFound" | "unavailable"]>(
      "table.lookup",
      ["table", "key", "result"],
      "A lookup table was asked.",
    ),
  });

export const createLifecycleHooks = (declare: Declare) =>
  Object.freeze({
    ready: declare.report<[listeners: readonly string[]]>(
      "lifecycle.ready",
      ["listeners"],
      "The gateway listens on these addresses.",
    ),
    closing: declare.report<[reason: string]>("lifecycle.closing", ["reason"], "The gateway takes no new sessions."),
  });

export type QueueHooks = ReturnType<typeof createQueueHooks>;
export type QuarantineHooks = ReturnType<typeof createQuarantineHooks>;
export type DeliveryHooks = ReturnType<typeof createDeliveryHooks>;
export type TableHooks = ReturnType<typeof createTableHooks>;
export type LifecycleHooks = ReturnType<typeof createLifecycleHooks>;
