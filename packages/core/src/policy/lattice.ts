/**
 * The lattice: what becomes of an answer, and how a list's end meets the deferrals that were remembered on the way
 * (Postfix's generic_checks, smtpd_check_reject and DEFER_IF_*). Two tables, no state.
 */
import type { Verdict } from "../model/verdict.ts";

/** What a word may say to the lattice. */
export type Said = Verdict["kind"] | "deferIfPermit" | "deferIfReject";

/** `end…` ends the list with that verdict, `remember…` keeps the deferral and goes on, `warn` logs and goes on. */
export type Step = "endPermit" | "endReject" | "endDefer" | "rememberIfPermit" | "rememberIfReject" | "warn";

/** By what was said, and whether `warn_if_reject` stands before the word. */
export const steps: Readonly<Record<Said, Readonly<Record<"plain" | "warned", Step>>>> = Object.freeze({
  permit: { plain: "endPermit", warned: "endPermit" },
  reject: { plain: "endReject", warned: "warn" },
  defer: { plain: "endDefer", warned: "warn" },
  // With warn_if_reject Postfix takes a deferIfPermit for the refusal that it could become.
  deferIfPermit: { plain: "rememberIfPermit", warned: "warn" },
  deferIfReject: { plain: "rememberIfReject", warned: "rememberIfReject" },
});

/** Which deferrals are remembered. */
export type Remembered = "none" | "ifPermit" | "ifReject" | "both";

/** The verdict that stands: the list's own, or the reply of a remembered deferral. */
export type Settled = Verdict["kind"] | "deferIfPermit" | "deferIfReject";

/** By the list's own verdict (its end is permit) and what is remembered. */
export const settlements: Readonly<Record<Verdict["kind"], Readonly<Record<Remembered, Settled>>>> = Object.freeze({
  permit: { none: "permit", ifPermit: "deferIfPermit", ifReject: "permit", both: "deferIfPermit" },
  reject: { none: "reject", ifPermit: "reject", ifReject: "deferIfReject", both: "deferIfReject" },
  defer: { none: "defer", ifPermit: "defer", ifReject: "defer", both: "defer" },
});

export function remembered(ifPermit: boolean, ifReject: boolean): Remembered {
  if (ifPermit) return ifReject ? "both" : "ifPermit";
  return ifReject ? "ifReject" : "none";
}
