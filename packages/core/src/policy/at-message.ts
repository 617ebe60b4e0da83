/** At `message` each recipient may have its own verdict, and SMTP has one answer for all of them. Pure. */
import type { FailureFacts } from "../guard/guard.ts";
import { reply } from "../model/reply.ts";
import type { Answer, Defer, Objection, RecipientAnswer } from "../model/verdict.ts";

/** What becomes of the refused when others are permitted. */
export type MixedPolicy = "reject-all" | "discard" | "quarantine";
export const mixedPolicies = Object.freeze(["reject-all", "discard", "quarantine"] as const satisfies MixedPolicy[]);

/** What the scanners said together. */
export interface Scanned {
  /** Without what is for the log. */
  readonly answer: Answer;
  /** By recipient, in the order of the transaction's; beside `answer`, which is about all of them. */
  readonly recipients?: readonly RecipientAnswer[] | undefined;
  /** Whose objection `answer` holds. */
  readonly by?: ScanAuthor | undefined;
  /** For the log, in their order. */
  readonly notes?: readonly ScanNote[];
}

/** One scanner that said something. */
export interface ScanAuthor {
  readonly scanner: string;
  readonly plugin: string;
  /** Why it gave no verdict, when its `onError` speaks for it. */
  readonly failure?: FailureFacts;
}

export interface ScanNote {
  readonly text: string;
  /** `undefined`: of no scanner, but of what several of them said. */
  readonly by: ScanAuthor | undefined;
}

export interface MergedVerdicts {
  /** The one answer; `undefined`: the message is taken. */
  readonly objection: Objection | undefined;
  /** Indexes of the recipients for whom it is taken. */
  readonly accepted: readonly number[];
  /** Indexes of those for whom it is dropped without a word. */
  readonly discarded: readonly number[];
  /** Indexes of those for whom it is put aside. */
  readonly quarantined: readonly number[];
}

const nobody: readonly number[] = Object.freeze([]);

/**
 * All alike: that answer. Any deferral: 451 for all, since the client will come again. Permit beside reject: by `mixed`, taken
 * for the permitted and dropped or put aside for the others, or refused for all.
 */
export function mergeVerdicts(verdicts: readonly RecipientAnswer[], mixed: MixedPolicy): MergedVerdicts {
  const deferral = verdicts.find((verdict) => verdict?.kind === "defer");
  if (deferral !== undefined) {
    const alike = verdicts.every((verdict) => sameAnswer(verdict, deferral));
    return refuse(alike ? deferral : anyDeferral(deferral));
  }
  const refusal = verdicts.find((verdict) => verdict?.kind === "reject");
  const refused = indexesOf(verdicts, "reject");
  if (refusal !== undefined && (refused.length === verdicts.length || mixed === "reject-all")) return refuse(refusal);
  return {
    objection: undefined,
    accepted: indexesOf(verdicts, "permit"),
    discarded: indexesOf(verdicts, "discard", mixed === "discard" ? "reject" : undefined),
    quarantined: indexesOf(verdicts, "quarantine", mixed === "quarantine" ? "reject" : undefined),
  };
}

function indexesOf(verdicts: readonly RecipientAnswer[], ...kinds: readonly (RecipientKind | undefined)[]): number[] {
  return verdicts.flatMap((verdict, index) => (kinds.includes(verdict?.kind ?? "permit") ? [index] : []));
}

type RecipientKind = NonNullable<RecipientAnswer>["kind"];

function refuse(objection: Objection): MergedVerdicts {
  return { objection, accepted: nobody, discarded: nobody, quarantined: nobody };
}

function anyDeferral({ reply: { enhanced, text } }: Defer): Defer {
  return { kind: "defer", reply: reply(451, enhanced, text) };
}

function sameAnswer(a: RecipientAnswer, b: Objection): boolean {
  return (
    a?.kind === b.kind &&
    a.reply.code === b.reply.code &&
    a.reply.enhanced === b.reply.enhanced &&
    a.reply.text === b.reply.text &&
    a.reply.more?.join("\n") === b.reply.more?.join("\n")
  );
}
