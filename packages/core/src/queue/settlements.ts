/** Which recipients are settled, put together from what was said of them over time, and what an entry makes of it. */
import type { QueuedMessage } from "../model/index.ts";
import type { QueueEntry, Schedule, Settlement } from "./store.ts";

const nothing: readonly Settlement[] = Object.freeze([]);

/** The first word about a recipient holds, in the order in which they came. A message may have many thousands of recipients. */
export class Settlements {
  #list: readonly Settlement[] = nothing;
  /** Once there are several: a list of its own, and who is in it. */
  #seen: Set<number> | undefined;

  add(more: readonly Settlement[]): void {
    if (more.length === 0) return;
    if (this.#list.length === 0 && more.length === 1) {
      this.#list = more;
      return;
    }
    const list = this.#seen === undefined ? [...this.#list] : (this.#list as Settlement[]);
    this.#seen ??= new Set(list.map(({ index }) => index));
    for (const settlement of more) {
      if (this.#seen.has(settlement.index)) continue;
      this.#seen.add(settlement.index);
      list.push(settlement);
    }
    this.#list = list;
  }

  /** As they stand now: what is added later is not in it. */
  get all(): readonly Settlement[] {
    return this.#seen === undefined ? this.#list : [...this.#list];
  }
}

export function entryOf(message: QueuedMessage, settlements: Settlements, schedule: Schedule | undefined): QueueEntry {
  const settled = settlements.all;
  const count = message.envelope.recipients.length;
  const done = new Uint8Array(count);
  for (const { index } of settled) done[index] = 1;
  const pending: number[] = [];
  for (let index = 0; index < count; index += 1) if (done[index] === 0) pending.push(index);
  return { message, pending, settled, schedule };
}
