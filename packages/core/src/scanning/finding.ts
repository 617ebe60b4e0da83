/** What an engine may say about a message, checked and put in order of severity. */
import { InvalidAnswer } from "../guard/guard.ts";
import { checkEdits } from "../hooks/check-edits.ts";
import type { Edit } from "../message/message.ts";
import { isObjection, type Effect, type Objection, type RecipientAnswer } from "../model/index.ts";
import { checkAnswer, type Scanned, type ScanAuthor, type ScanNote } from "../policy/index.ts";

/** One engine's answer, checked: an objection to the whole message, or what accumulates. */
export interface Finding {
  readonly objection: Objection | undefined;
  readonly effects: readonly Effect[];
  readonly edits: readonly Edit[];
  /** By recipient; `undefined`: all fare alike. */
  readonly recipients: readonly RecipientAnswer[] | undefined;
  /** Whose it is; `undefined`: the gateway's own. */
  readonly by?: ScanAuthor | undefined;
}

/** What all engines said together. */
export interface ScanOutcome extends Scanned {
  readonly edits: readonly Edit[];
  /** What each said by itself, for explaining. */
  readonly findings?: readonly Finding[];
}

const none: readonly never[] = Object.freeze([]);
export const nothingFound: Finding = Object.freeze({
  objection: undefined,
  effects: none,
  edits: none,
  recipients: undefined,
});

const recipientKinds: ReadonlySet<string> = new Set(["permit", "reject", "defer", "discard", "quarantine"]);

/** Throws `InvalidAnswer`. `recipientCount`: of the transaction. */
export function checkFinding(answer: unknown, recipientCount: number): Finding {
  if (answer === undefined) return nothingFound;
  const given: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  const edits: unknown[] = [];
  const common: unknown[] = [];
  let recipients: readonly RecipientAnswer[] | undefined;
  for (const part of given) {
    const { kind } = (part ?? {}) as { readonly kind?: unknown };
    if (kind === "edit") edits.push((part as { readonly edit?: unknown }).edit);
    else if (kind !== "perRecipient") common.push(part);
    else if (recipients === undefined) recipients = checkRecipients(part, recipientCount);
    else throw new InvalidAnswer("more than one perRecipient in one answer");
  }
  const effects: Effect[] = [];
  let objection: Objection | undefined;
  for (const part of checkAnswer(common) ?? none) {
    if (isObjection(part)) objection = part;
    else if (part.kind === "deferIfPermit" || part.kind === "deferIfReject") {
      throw new InvalidAnswer(`"${part.kind}" is an answer of words; a scanner defers or does not`);
    } else if (part.kind !== "permit") effects.push(part);
  }
  return { objection, effects, edits: edits.length === 0 ? none : checkEdits(edits), recipients };
}

function checkRecipients(part: unknown, recipientCount: number): readonly RecipientAnswer[] {
  const { answers } = part as { readonly answers?: unknown };
  if (!Array.isArray(answers) || answers.length !== recipientCount) {
    throw new InvalidAnswer("perRecipient needs an answer for each recipient");
  }
  return answers.map((answer: unknown) => {
    const [checked, ...more] = checkAnswer(answer) ?? none;
    if (checked === undefined) return undefined;
    if (more.length > 0 || !recipientKinds.has(checked.kind)) {
      throw new InvalidAnswer("of one recipient: permit, reject, defer, discard or quarantine");
    }
    return checked as RecipientAnswer;
  });
}

/**
 * The most severe of all findings: reject, then defer, then every effect and edit in the engines' order. What the engine that objects says for the
 * log is kept.
 */
export function mergeFindings(findings: readonly Finding[]): ScanOutcome {
  const objecting = findings.filter(({ objection }) => objection !== undefined);
  const worst = objecting.find(({ objection }) => objection?.kind === "reject") ?? objecting[0];
  if (worst?.objection !== undefined) {
    return { answer: worst.objection, edits: none, by: worst.by, notes: notesOf([worst]), findings };
  }
  const effects = findings.flatMap((finding) => finding.effects).filter(({ kind }) => kind !== "log");
  return {
    answer: effects.length === 0 ? undefined : effects,
    edits: findings.flatMap(({ edits }) => edits),
    recipients: mergeRecipients(findings),
    notes: notesOf(findings),
    findings,
  };
}

function notesOf(findings: readonly Finding[]): readonly ScanNote[] {
  return findings.flatMap(({ effects, by }) =>
    effects.flatMap((effect) => (effect.kind === "log" ? [{ text: effect.text, by }] : [])),
  );
}

/**
 * Engines run side by side, and each made its new body of the message as it came: the last one stands, and what the others changed in the body is
 * lost. The operator is told.
 */
export function lostChanges(findings: readonly Finding[], nameOf: (index: number) => string | undefined): Finding {
  const stands = findings.findLastIndex(({ edits }) => edits.some(({ kind }) => kind === "replaceBody"));
  if (stands < 0) return nothingFound;
  const lost = findings.flatMap(({ edits }, index) =>
    index !== stands && edits.some(changesBody) ? [nameOf(index)] : [],
  );
  if (lost.length === 0) return nothingFound;
  const text = `warn: the body is as ${nameOf(stands)} made it; changes by ${lost.join(", ")} are lost`;
  return { ...nothingFound, effects: [{ kind: "log", text }] };
}

function changesBody({ kind }: Edit): boolean {
  return kind === "replaceBody" || kind === "spliceBody";
}

const severity: Readonly<Record<NonNullable<RecipientAnswer>["kind"], number>> = {
  permit: 0,
  quarantine: 1,
  discard: 2,
  defer: 3,
  reject: 4,
};

function mergeRecipients(findings: readonly Finding[]): readonly RecipientAnswer[] | undefined {
  const [first, ...others] = findings.map(({ recipients }) => recipients).filter((all) => all !== undefined);
  return first?.map((answer, index) =>
    others.reduce((worst, other) => (weight(other[index]) > weight(worst) ? other[index] : worst), answer),
  );
}

function weight(answer: RecipientAnswer): number {
  return severity[answer?.kind ?? "permit"];
}
