/** Who failed, and whether the sender wants to hear of it. */
import type { Outcome, Recipient } from "../model/index.ts";

export interface FailedRecipient {
  readonly recipient: Recipient;
  /** The last word about it. An enhanced code 4.y.z says that the time allowed was over before anything better was heard. */
  readonly outcome: Outcome;
}

/** RFC 3461 §4.1: without NOTIFY failure is reported; NEVER, or a list without FAILURE, forbids it. */
export function wantsFailureReport({ notify }: Recipient): boolean {
  return notify === undefined || notify.includes("failure");
}
