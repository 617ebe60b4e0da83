/** What an engine may say about a message, checked and put in order of severity. */
import { InvalidAnswer } from "../guard/guard.ts";
import { soundObjection } from "../guard/objection.ts";
import type { Answer, Effect, Objection } from "../model/index.ts";

/** One engine's answer: an objection, or effects that accumulate; no effects is "nothing found". */
export type Finding = Objection | readonly Effect[];

export const nothingFound: Finding = Object.freeze([]);

/** Throws `InvalidAnswer`, also for an effect that has no sink: it would be lost, and the mail would pass as if scanned. */
export function checkFinding(answer: unknown): Finding {
  if (answer === undefined) return nothingFound;
  const effects: Effect[] = [];
  let worst: Objection | undefined;
  for (const part of Array.isArray(answer) ? (answer as readonly unknown[]) : [answer]) {
    const sound = checkPart(part);
    if (sound === undefined) continue;
    if (sound.kind !== "reject" && sound.kind !== "defer") effects.push(sound);
    else if (worst?.kind !== "reject") worst = sound.kind === "reject" ? sound : (worst ?? sound);
  }
  return worst ?? effects;
}

function checkPart(part: unknown): Objection | Effect | undefined {
  const given = part as Partial<Record<string, unknown>> | null | undefined;
  switch (given?.["kind"]) {
    case "permit":
      return undefined;
    case "reject":
    case "defer":
      return soundObjection(part as Objection);
    case "discard":
      return { kind: "discard", text: textOf(given, "text", "") };
    case "log":
      return { kind: "log", text: textOf(given, "text") };
    case "prepend":
      return { kind: "prepend", name: textOf(given, "name"), value: textOf(given, "value") };
    default:
      throw new InvalidAnswer("answer is neither undefined, permit, reject, defer, discard, prepend nor log");
  }
}

function textOf(given: Partial<Record<string, unknown>>, key: string, absent?: string): string {
  const text = given[key] ?? absent;
  if (typeof text !== "string") throw new InvalidAnswer(`${String(given["kind"])} needs a text "${key}"`);
  return text;
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
