/** What the policy's effects make of an accepted message: blind copies, another address, a filter, a stay in the queue (access(5)). */
import type { Recipient, Transaction } from "../model/index.ts";
import type { MessageEffect } from "../policy/index.ts";

type Kind = MessageEffect["kind"];
type EffectOf<K extends Kind> = Extract<MessageEffect, { readonly kind: K }>;

/** The last one stands, as in Postfix; of `discard` any. */
export function lastEffect<K extends Kind>(effects: readonly MessageEffect[], kind: K): EffectOf<K> | undefined {
  return effects.findLast((effect): effect is EffectOf<K> => effect.kind === kind);
}

/**
 * With one more recipient for each `bcc` but those of `refused`, for whom the message is not; its sender never hears of it. Before the envelope is
 * rewritten: a copy may go to an alias.
 */
export function addBlindCopies(
  envelope: Transaction,
  effects: readonly MessageEffect[],
  refused: ReadonlySet<string> = new Set(),
): Transaction {
  const copies = effects.filter((effect) => effect.kind === "bcc").map(({ address }) => address);
  if (copies.length === 0) return envelope;
  const known = new Set(envelope.recipients.map(({ address }) => address));
  const added = copies.filter((address) => !known.has(address) && !refused.has(address)).map(blindly);
  return added.length === 0 ? envelope : withRecipients(envelope, [...envelope.recipients, ...added]);
}

/** To the address of `redirect` alone. After the envelope was rewritten: that address is no alias any more. */
export function redirectEnvelope(envelope: Transaction, effects: readonly MessageEffect[]): Transaction {
  const redirect = lastEffect(effects, "redirect");
  if (redirect === undefined) return envelope;
  return withRecipients(envelope, [{ address: redirect.address, original: redirect.address }]);
}

/** As the log and `explain` tell them: what becomes of the message otherwise than its envelope says. A redirect goes before a filter (access(5)). */
export function describeEffects(effects: readonly MessageEffect[]): string[] {
  if (effects.length === 0) return [];
  const [discard, quarantine, hold, redirect, filter] = [
    lastEffect(effects, "discard"),
    lastEffect(effects, "quarantine"),
    lastEffect(effects, "hold"),
    lastEffect(effects, "redirect"),
    lastEffect(effects, "filter"),
  ];
  if (discard !== undefined) return [`discard: ${discard.text ?? "discarded"}`];
  const copies = new Set(effects.flatMap((effect) => (effect.kind === "bcc" ? [effect.address] : [])));
  return [
    ...(quarantine === undefined ? [] : [`quarantine: ${quarantine.text ?? "by the policy"}`]),
    ...(hold === undefined || quarantine !== undefined ? [] : [`hold: ${hold.text ?? "by the policy"}`]),
    ...(redirect === undefined ? [] : [`redirect: ${redirect.address}`]),
    ...(filter === undefined || redirect !== undefined || quarantine !== undefined
      ? []
      : [`filter: ${filter.destination}`]),
    ...(copies.size === 0 ? [] : [`bcc: ${[...copies].join(", ")}`]),
  ];
}

function blindly(address: string): Recipient {
  return { address, original: address, notify: ["never"] };
}

/** What leaves with such an address needs a peer that knows it (RFC 6531). */
function withRecipients(envelope: Transaction, recipients: readonly Recipient[]): Transaction {
  const smtputf8 = envelope.smtputf8 || recipients.some(({ address }) => /[^\u0000-\u007f]/.test(address));
  return { ...envelope, recipients, smtputf8 };
}
