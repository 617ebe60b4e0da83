/** A failed call as an answer: the owner's `onError` in the words of a verdict. The peer hears a bland text only. */
import type { Objection } from "../model/verdict.ts";
import { isObjection } from "../model/verdict.ts";
import { internalError, reply, replyLines } from "../model/reply.ts";
import { InvalidAnswer, type Failed } from "./guard.ts";
import { policyFor } from "./owner.ts";

const deferral: Objection = Object.freeze({ kind: "defer", reply: internalError });
const refusal: Objection = Object.freeze({ kind: "reject", reply: reply(554, "5.3.0", "Message refused") });

/** `undefined` when the policy is `skip`. Where mail can be put aside, `quarantine` is asked about before this; elsewhere it is a deferral. */
export function objectionFor({ owner, reason }: Failed): Objection | undefined {
  const policy = policyFor(owner.onError, reason);
  if (policy === "skip") return undefined;
  return policy === "reject" ? refusal : deferral;
}

/**
 * Checks a plugin's objection and makes its reply anew, so that nothing but `reply()` reaches the wire. A code outside the
 * verdict's class is refused as invalid.
 */
export function checkObjection(answer: unknown): Objection | undefined {
  if (answer === undefined) return undefined;
  if (!isObjection(answer)) throw new InvalidAnswer("answer is neither undefined, reject nor defer");
  return soundObjection(answer);
}

export function soundObjection({ kind, reply: given }: Objection): Objection {
  const { more = [] } = given ?? {};
  if (!Array.isArray(more)) throw new InvalidAnswer("the further lines of a reply are a list");
  const sound = replyLines(given?.code, given?.enhanced, [given?.text ?? "", ...(more as readonly string[])]);
  const wanted = kind === "reject" ? 5 : 4;
  if (Math.floor(sound.code / 100) !== wanted) throw new InvalidAnswer(`${kind} needs a ${wanted}yz reply`);
  return Object.freeze({ kind, reply: sound });
}
