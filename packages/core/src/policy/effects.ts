/** Effects: what a judge adds beside a verdict, and which of them are left for the message at the end. */
import type { Effect, Verdict } from "../model/verdict.ts";

/** true: left for the message when its lists have been asked; `smtp/effects.ts` carries it out. */
const effectKinds = Object.freeze({
  prepend: true,
  discard: true,
  log: false,
  deferIfPermit: false,
  deferIfReject: false,
  hold: true,
  quarantine: true,
  redirect: true,
  bcc: true,
  filter: true,
} as const satisfies Record<Effect["kind"], boolean>);

type Kinds = typeof effectKinds;
type Lasting = { [Kind in keyof Kinds]: Kinds[Kind] extends true ? Kind : never }[keyof Kinds];
/** What is left for the message when its lists have been asked. */
export type MessageEffect = Extract<Effect, { readonly kind: Lasting }>;

export function isMessageEffect(part: Effect | Verdict): part is MessageEffect {
  return isEffectKind(part.kind) && effectKinds[part.kind];
}

export function isEffectKind(kind: unknown): kind is Effect["kind"] {
  return typeof kind === "string" && Object.hasOwn(effectKinds, kind);
}

/** The same word for three recipients asks for one header. Of the others the last one may stand: where it was said again is where it is. */
export function eachOnce(effects: readonly MessageEffect[]): readonly MessageEffect[] {
  const seen = new Map<string, MessageEffect>();
  for (const effect of effects) {
    const key = JSON.stringify(effect);
    if (effect.kind !== "prepend") seen.delete(key);
    seen.set(key, effect);
  }
  return [...seen.values()];
}
