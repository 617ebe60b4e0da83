/** Effects: what a judge adds beside a verdict. Which of them have somebody who carries them out is said here. */
import type { Effect, Verdict } from "../model/verdict.ts";

/** false: the effect is part of the contract, and nothing carries it out yet. What names one is refused. */
export const effectSinks = Object.freeze({
  prepend: true,
  discard: true,
  log: true,
  deferIfPermit: true,
  deferIfReject: true,
  hold: true,
  quarantine: false,
  redirect: true,
  bcc: true,
  filter: true,
  tag: false,
} as const satisfies Record<Effect["kind"], boolean>);

type Sunk = { [Kind in Effect["kind"]]: (typeof effectSinks)[Kind] extends true ? Kind : never }[Effect["kind"]];
/** An effect that is carried out. */
export type SunkEffect = Extract<Effect, { readonly kind: Sunk }>;
/** What is left for the message when its lists have been asked: `smtp/effects.ts` carries it out. */
export type MessageEffect = Exclude<SunkEffect, { readonly kind: "log" | "deferIfPermit" | "deferIfReject" }>;

const messageEffects: ReadonlySet<string> = new Set<MessageEffect["kind"]>([
  "prepend",
  "discard",
  "hold",
  "redirect",
  "bcc",
  "filter",
]);

export function isMessageEffect(part: Effect | Verdict): part is MessageEffect {
  return messageEffects.has(part.kind);
}

export function isEffectKind(kind: unknown): kind is Effect["kind"] {
  return typeof kind === "string" && Object.hasOwn(effectSinks, kind);
}

/** The end of a sentence that refuses an effect without a sink. */
export const noSink = "is not available in this version of Postern";
