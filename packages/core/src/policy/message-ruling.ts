/**
 * What becomes of a message when lists and scanners have spoken: one answer of SMTP for all its recipients, and for whom it is taken, put
 * aside or dropped. Pure.
 */
import { formatReply } from "../model/reply.ts";
import type { Recipient } from "../model/envelope.ts";
import { isObjection, type Objection, type RecipientAnswer } from "../model/verdict.ts";
import { mergeVerdicts, type MixedPolicy } from "./at-message.ts";
import type { MessageEffect } from "./effects.ts";
import type { Decision } from "./list-run.ts";
import { byScanners } from "./scanners-word.ts";

export interface MessageRuling {
  /** The one answer, when the message is not taken. */
  readonly objection: Objection | undefined;
  readonly by: Decision | undefined;
  /** For whom it is taken, when it is. What becomes of it for them `effects` say. */
  readonly recipients: readonly Recipient[];
  /** For whom it is put aside, or dropped without a word, while it is taken for others; empty when all fare alike. */
  readonly quarantined: readonly Recipient[];
  readonly discarded: readonly Recipient[];
  /** Why, one line for the operator; empty without such recipients. */
  readonly quarantineReason: string;
  readonly discardReason: string;
  /** Gathered over the session's and the transaction's stages, in order; each header once. */
  readonly effects: readonly MessageEffect[];
}

/** What was said of it. */
interface Said {
  /** About all of it. */
  readonly objection: Objection | undefined;
  readonly by: Decision | undefined;
  /** By recipient, in their order. */
  readonly each: readonly RecipientAnswer[] | undefined;
  readonly effects: readonly MessageEffect[];
}

export function ruleMessage(
  recipients: readonly Recipient[],
  mixed: MixedPolicy,
  { objection, by, each, effects }: Said,
): MessageRuling {
  const merged = mergeVerdicts(
    recipients.map((_, index) => objection ?? each?.[index]),
    mixed,
  );
  const pick = (indexes: readonly number[]): readonly Recipient[] =>
    indexes.length === recipients.length ? recipients : indexes.map((index) => recipients[index] as Recipient);
  const fates: Fates = {
    recipients: pick(merged.accepted),
    quarantined: pick(merged.quarantined),
    discarded: pick(merged.discarded),
    quarantineReason: reasonsOf(merged.quarantined, each),
    discardReason: reasonsOf(merged.discarded, each),
    effects,
  };
  if (merged.objection === undefined) return { objection: undefined, by, ...commonFate(fates) };
  return { objection: merged.objection, by: objection === undefined ? byScanners : by, ...fates };
}

type Fates = Omit<MessageRuling, "objection" | "by">;

/** What nobody gets is put aside, or else dropped, as a whole. */
function commonFate(fates: Fates): Fates {
  const { recipients, quarantined, discarded, quarantineReason, discardReason, effects } = fates;
  if (recipients.length > 0) return fates;
  if (quarantined.length > 0) {
    const aside = { kind: "quarantine", text: quarantineReason } as const;
    return { ...fates, recipients: quarantined, quarantined: [], quarantineReason: "", effects: [...effects, aside] };
  }
  if (discarded.length === 0) return fates;
  const dropped = { kind: "discard", text: discardReason } as const;
  return { ...fates, recipients: discarded, discarded: [], discardReason: "", effects: [...effects, dropped] };
}

/** A log line holds no more. */
const mostReasons = 5;

/** Each reason once. */
function reasonsOf(indexes: readonly number[], answers: readonly RecipientAnswer[] = []): string {
  const reasons = new Set<string>();
  for (const index of indexes) {
    const answer = answers[index];
    if (isObjection(answer)) reasons.add(`refused for these recipients: ${formatReply(answer.reply)}`);
    else reasons.add((answer as { readonly text?: string } | undefined)?.text ?? "by a scanner");
  }
  return [...reasons].slice(0, mostReasons).join("; ");
}
