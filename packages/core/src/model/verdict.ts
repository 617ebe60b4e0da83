/** What a judge may say: verdicts that end a list, effects that accumulate beside it. `undefined` is no opinion. */
import { reply, type Reply } from "./reply.ts";

export interface Permit {
  readonly kind: "permit";
}
export interface Reject {
  readonly kind: "reject";
  /** 5yz. */
  readonly reply: Reply;
}
export interface Defer {
  readonly kind: "defer";
  /** 4yz. */
  readonly reply: Reply;
}
export type Objection = Reject | Defer;
export type Verdict = Permit | Objection;

/**
 * What accumulates and ends nothing. `prepend` adds a header on top, `deferIf…` are Postfix's lattice; `hold` keeps the message in the queue
 * until it is released, `quarantine` puts it aside in place of the queue, `redirect` sends it to one address in place of its recipients, `bcc` to one more, `filter` by a
 * `transport:nexthop` in place of its routes. Which of them have a sink is in `policy/effects.ts`; a config that names one without is
 * refused.
 */
export type Effect =
  | { readonly kind: "prepend"; readonly name: string; readonly value: string }
  | { readonly kind: "discard"; readonly text?: string }
  | { readonly kind: "log"; readonly text: string }
  | { readonly kind: "deferIfPermit"; readonly reply: Reply }
  | { readonly kind: "deferIfReject"; readonly reply: Reply }
  | { readonly kind: "hold"; readonly text?: string }
  | { readonly kind: "quarantine"; readonly text?: string }
  | { readonly kind: "redirect"; readonly address: string }
  | { readonly kind: "bcc"; readonly address: string }
  | { readonly kind: "filter"; readonly destination: string };

/** What may be said of one recipient of a message where others may fare otherwise. `undefined` and `permit`: it is taken for it. */
export type RecipientAnswer = undefined | Verdict | Extract<Effect, { readonly kind: "discard" | "quarantine" }>;

/** The whole vocabulary of a judge's answer. */
export type Answer = undefined | Verdict | Effect | readonly (Effect | Verdict)[];

const nothing: readonly (Effect | Verdict)[] = Object.freeze([]);

/** An answer as a list; no opinion is the empty one. */
export function partsOf(answer: Answer): readonly (Effect | Verdict)[] {
  if (answer === undefined) return nothing;
  return Array.isArray(answer) ? (answer as readonly (Effect | Verdict)[]) : [answer as Effect | Verdict];
}

export const permit: Permit = Object.freeze({ kind: "permit" });

/** A permanent no. Codes outside 5yz become 550. */
export function reject(text: string, enhanced = "5.7.1", code = 550): Reject {
  return Object.freeze({ kind: "reject", reply: reply(code >= 500 && code <= 599 ? code : 550, enhanced, text) });
}

/** A no for now. Codes outside 4yz become 450. */
export function defer(text: string, enhanced = "4.7.1", code = 450): Defer {
  return Object.freeze({ kind: "defer", reply: reply(code >= 400 && code <= 499 ? code : 450, enhanced, text) });
}

export function isObjection(answer: unknown): answer is Objection {
  const kind = (answer as { kind?: unknown } | null | undefined)?.kind;
  return kind === "reject" || kind === "defer";
}
