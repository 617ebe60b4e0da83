/**
 * Looks through the quarantine, newest first, a page at a time: memory and the time of one page are bounded whatever there is, and the
 * event loop has its turn in between.
 */
import type { Clock } from "../model/index.ts";
import type { QueueEntry, QueueStore } from "../queue/index.ts";
import { describeDamaged, describeEntry, noteOf, type QuarantineListing } from "./listing.ts";
import { turn } from "./turn.ts";

/** All that is given must fit. Texts are found anywhere, without regard to case. */
export interface QuarantineQuery {
  /** In the sender of the envelope or in From. */
  readonly from?: string;
  /** In a recipient's address, also as the client wrote it. */
  readonly to?: string;
  readonly reason?: string;
  readonly subject?: string;
  /** Put aside then or later, and before; milliseconds since 1970. */
  readonly since?: number;
  readonly until?: number;
  /** Of one page; 100 unless given, 1,000 at most. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export interface QuarantinePage {
  readonly entries: readonly QuarantineListing[];
  /** To be asked with as `after`; absent when there are no more. A page may be short, even empty, and have a next one. */
  readonly next?: string;
}

const defaultLimit = 100;
const mostOnPage = 1000;
/** Ids held at a time. */
const windowSize = 20_000;
const lookedAtOnce = 5000;
const readAtOnce = 32;
/** After this time a page ends where it is. */
const budgetMs = 500;

type Found = Pick<QueueStore, "waiting" | "entry">;

export async function searchQuarantine(
  store: Found,
  query: QuarantineQuery,
  clock: Pick<Clock, "monotonic">,
): Promise<QuarantinePage> {
  const begun = clock.monotonic();
  const limit = Math.min(query.limit ?? defaultLimit, mostOnPage);
  const { window, older } = await newest(store, query.after);
  const fits = matcher(query);
  const entries: QuarantineListing[] = [];
  let at = 0;
  while (at < window.length && entries.length < limit) {
    if (at > 0 && clock.monotonic() - begun > budgetMs) break;
    const some = window.slice(at, at + readAtOnce);
    const read = await Promise.all(some.map((one) => readOne(store, one)));
    for (const one of read) {
      if (entries.length >= limit) break;
      at += 1;
      if (one === undefined) continue;
      if ("listing" in one) {
        if (fits === undefined) entries.push(one.listing);
      } else if (fits === undefined || fits(one.entry)) entries.push(describeEntry(one.entry));
    }
  }
  const last = window[at - 1];
  const more = at < window.length || older;
  return more && last !== undefined ? { entries, next: last.id } : { entries };
}

interface Waiting {
  readonly id: string;
  readonly expiresAt: number;
}

/** The newest of those before `after`, newest first; ids sort by age. `older`: there are more behind them. */
async function newest(store: Found, after: string | undefined): Promise<{ window: Waiting[]; older: boolean }> {
  let window: Waiting[] = [];
  let older = false;
  let looked = 0;
  // The store knows them nearly in order: sorting is little more than looking.
  const cut = (): void => {
    window.sort((one, other) => (one.id < other.id ? 1 : -1));
    if (window.length <= windowSize) return;
    window = window.slice(0, windowSize);
    older = true;
  };
  for (const { id, nextAttemptAt } of store.waiting()) {
    looked += 1;
    if (looked % lookedAtOnce === 0) await turn();
    if (after !== undefined && id >= after) continue;
    window.push({ id, expiresAt: nextAttemptAt });
    if (window.length >= 2 * windowSize) cut();
  }
  cut();
  return { window, older };
}

type Read = { readonly entry: QueueEntry } | { readonly listing: QuarantineListing } | undefined;

/** Nothing when it has gone meanwhile. */
async function readOne(store: Found, { id, expiresAt }: Waiting): Promise<Read> {
  try {
    const entry = await store.entry(id);
    return entry && { entry };
  } catch (error) {
    return { listing: describeDamaged(id, expiresAt, error as Error) };
  }
}

/** `undefined`: everything fits. */
function matcher({
  from,
  to,
  reason,
  subject,
  since,
  until,
}: QuarantineQuery): undefined | ((entry: QueueEntry) => boolean) {
  const tests: ((entry: QueueEntry) => boolean)[] = [];
  if (since !== undefined) tests.push(({ message }) => message.arrivedAt >= since);
  if (until !== undefined) tests.push(({ message }) => message.arrivedAt < until);
  const text = (wanted: string | undefined, textsOf: (entry: QueueEntry) => readonly string[]): void => {
    if (wanted === undefined) return;
    const folded = wanted.toLowerCase();
    tests.push((entry) => textsOf(entry).some((found) => found.toLowerCase().includes(folded)));
  };
  text(from, ({ message }) => [message.envelope.sender, noteOf(message).from]);
  text(to, ({ message }) => message.envelope.recipients.flatMap(({ address, original }) => [address, original]));
  text(reason, ({ message }) => [noteOf(message).reason]);
  text(subject, ({ message }) => [noteOf(message).subject]);
  return tests.length === 0 ? undefined : (entry) => tests.every((test) => test(entry));
}
