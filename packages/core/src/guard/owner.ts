/** Whose code is called, how long it may take, and what stands when it fails. */
import type { FailureReason } from "../errors.ts";

/** What stands in place of an answer that did not come. */
export const failurePolicies = Object.freeze(["defer", "reject", "quarantine", "skip"] as const);
export type FailurePolicy = (typeof failurePolicies)[number];

/** One policy, or one by reason; a reason not named is `defer`. */
export type OnError = FailurePolicy | Readonly<Partial<Record<FailureReason, FailurePolicy>>>;

export interface Owner {
  /** A plugin's instance name, or "core". */
  readonly name: string;
  readonly onError: OnError;
  readonly deadlineMs: number;
}

/** Words, taps and tables; scanners get 30 s. */
export const defaultDeadlineMs = 10_000;
export const defaultScannerDeadlineMs = 30_000;

/** Core's own calls: temporary whatever happens. */
export const coreOwner: Owner = Object.freeze({ name: "core", onError: "defer", deadlineMs: defaultDeadlineMs });

export function policyFor(onError: OnError, reason: FailureReason): FailurePolicy {
  return typeof onError === "string" ? onError : (onError[reason] ?? "defer");
}
