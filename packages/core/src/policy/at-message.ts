/** At `message` each recipient may have its own verdict, and SMTP has one answer for all of them. Pure. */
import { reply } from "../model/reply.ts";
import type { Defer, Objection, Verdict } from "../model/verdict.ts";

/** What becomes of the refused when others are permitted. */
export type MixedPolicy = "reject-all" | "discard";

export interface MergedVerdicts {
  /** The one answer; `undefined`: the message is taken. */
  readonly objection: Objection | undefined;
  /** Indexes of the recipients for whom it is taken. */
  readonly accepted: readonly number[];
  /** Indexes of those for whom it is dropped without a word. */
  readonly discarded: readonly number[];
}

const nobody: readonly number[] = Object.freeze([]);

/**
 * All alike: that answer. Any deferral: 451 for all, since the client will come again. Permit beside reject: by `mixed`, taken
 * for the permitted and dropped for the others, or refused for all.
 */
export function mergeVerdicts(verdicts: readonly Verdict[], mixed: MixedPolicy): MergedVerdicts {
  const objections = verdicts.filter((verdict) => verdict.kind !== "permit");
  const all = verdicts.map((_, index) => index);
  if (objections.length === 0) return { objection: undefined, accepted: all, discarded: nobody };
  const deferral = objections.find((objection) => objection.kind === "defer");
  if (deferral !== undefined) {
    const alike = verdicts.every((verdict) => sameAnswer(verdict, deferral));
    return refuse(alike ? deferral : anyDeferral(deferral));
  }
  const refusal = objections[0] as Objection;
  if (objections.length === verdicts.length || mixed === "reject-all") return refuse(refusal);
  return {
    objection: undefined,
    accepted: all.filter((index) => verdicts[index]?.kind === "permit"),
    discarded: all.filter((index) => verdicts[index]?.kind !== "permit"),
  };
}

function refuse(objection: Objection): MergedVerdicts {
  return { objection, accepted: nobody, discarded: nobody };
}

function anyDeferral({ reply: { enhanced, text } }: Defer): Defer {
  return { kind: "defer", reply: reply(451, enhanced, text) };
}

function sameAnswer(a: Verdict, b: Objection): boolean {
  return (
    a.kind === b.kind &&
    a.reply.code === b.reply.code &&
    a.reply.enhanced === b.reply.enhanced &&
    a.reply.text === b.reply.text
  );
}
