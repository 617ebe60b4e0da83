/** What an engine may say about a message, checked and put in order of severity. */
import { InvalidAnswer } from "../guard/guard.ts";
import { isObjection, type Answer, type Effect, type Objection } from "../model/index.ts";
import { checkAnswer } from "../policy/answer.ts";

/** One engine's answer: an objection, or effects that accumulate; no effects is "nothing found". */
export type Finding = Objection | readonly Effect[];

export const nothingFound: Finding = Object.freeze([]);

/** Throws `InvalidAnswer`, also for an effect that has no sink: it would be lost, and the mail would pass as if scanned. */
export function checkFinding(answer: unknown): Finding {
  const effects: Effect[] = [];
  for (const part of checkAnswer(answer) ?? []) {
    if (isObjection(part)) return part;
    if (part.kind === "deferIfPermit" || part.kind === "deferIfReject") {
      throw new InvalidAnswer(`"${part.kind}" is an answer of words; a scanner defers or does not`);
    }
    if (part.kind !== "permit") effects.push(part);
  }
  return effects;
}

/** The most severe of all findings: reject, then defer, then every effect in the engines' order. */
export function mergeFindings(findings: readonly Finding[]): Answer {
  const effects: Effect[] = [];
  let deferral: Objection | undefined;
  for (const finding of findings) {
    if (!("kind" in finding)) effects.push(...finding);
    else if (finding.kind === "reject") return finding;
    else deferral ??= finding;
  }
  return deferral ?? (effects.length === 0 ? undefined : effects);
}
