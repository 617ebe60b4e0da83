/** `onError` in a config: what stands when a plugin gives no answer, for all reasons or by reason. */
import { z } from "zod";
import { failureReasons, type FailureReason } from "../errors.ts";
import { failurePolicies, type OnError } from "../guard/owner.ts";

const policy = z.enum(failurePolicies);

const byReason = Object.fromEntries(failureReasons.map((reason) => [reason, policy.optional()])) as Record<
  FailureReason,
  z.ZodOptional<typeof policy>
>;

/** For the host key and for plugins with several engines, which declare it for each. */
export function onError(): z.ZodType<OnError> {
  return z.union([policy, z.strictObject(byReason)], {
    error: 'expected "defer", "reject", "quarantine" or "skip", or an object of them by reason',
  }) as z.ZodType<OnError>;
}
