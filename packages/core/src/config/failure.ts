/** `onError` in a config: what stands when a plugin gives no answer, for all reasons or by reason. */
import { z } from "zod";
import type { OnError } from "../guard/owner.ts";

/** `quarantine` is a word of the contract that has no sink yet; a config that uses it is refused. */
const policy = z.enum(["defer", "reject", "skip"]);

/** For the host key and for plugins with several engines, which declare it for each. */
export function onError(): z.ZodType<OnError> {
  return z.union(
    [
      policy,
      z.strictObject({
        error: policy.optional(),
        timeout: policy.optional(),
        invalid: policy.optional(),
        down: policy.optional(),
        tooLarge: policy.optional(),
      }),
    ],
    { error: 'expected "defer", "reject" or "skip", or an object of them by reason' },
  ) as z.ZodType<OnError>;
}
