/**
 * Mail that was taken and is not delivered: put aside durably with its reason, looked through, released into the queue, deleted, and
 * gone when its time is over. It knows the queue's store and nothing of SMTP, of delivery or of why.
 */
export { formatQuarantineEvent, type QuarantineEvent } from "./events.ts";
export type { QuarantinedMessage, QuarantineListing } from "./listing.ts";
export { Quarantine, type QuarantineOptions, type QuarantineStatus } from "./quarantine.ts";
export type { QuarantinePage, QuarantineQuery } from "./search.ts";
