/** Which recipients are settled, put together from what was said of them over time. Pure. */
import type { QueuedMessage } from "../model/index.ts";
import type { QueueEntry, Schedule, Settlement } from "./store.ts";

/** Adds to `known` what is new in `more`: the first word about a recipient holds. Order is kept. */
export function mergeSettlements(known: readonly Settlement[], more: readonly Settlement[]): readonly Settlement[] {
  if (more.length === 0) return known;
  if (known.length === 0 && more.length === 1) return more;
  const seen = new Set(known.map(({ index }) => index));
  const fresh = more.filter(({ index }) => !seen.has(index) && seen.add(index));
  return fresh.length === 0 ? known : [...known, ...fresh];
}

export function entryOf(
  message: QueuedMessage,
  settled: readonly Settlement[],
  schedule: Schedule | undefined,
): QueueEntry {
  const done = new Set(settled.map(({ index }) => index));
  const pending: number[] = [];
  for (let index = 0; index < message.envelope.recipients.length; index += 1) if (!done.has(index)) pending.push(index);
  return { message, pending, settled, schedule };
}
