/**
 * Answers by question until their time is over: the empty ones too (RFC 2308), and failures (RFC 9520). Bounded in entries and in
 * what they weigh, the oldest goes first.
 */
import { DnsUnavailable } from "../errors.ts";
import type { Clock } from "../model/clock.ts";

/** Records, in the form that the resolver hands out, or why there was no answer. */
export type Known = readonly unknown[] | DnsUnavailable;

interface Kept {
  readonly known: Known;
  readonly until: number;
  readonly weight: number;
}

/** In about octets: a stranger's zone may give each of its names as many records as an answer holds. */
const mostWeight = 32 * 1024 * 1024;
/** Of an entry, and of each record beside its text. */
const ownWeight = 100;

/** How long answers are kept, whatever their servers say. */
export interface CacheBounds {
  /** Entries. */
  readonly entries: number;
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  /** For answers that nothing is there. */
  readonly maxNegativeTtlMs: number;
  /** For questions that got no answer; 0: those are asked anew each time. */
  readonly failureTtlMs: number;
}

export interface AnswerCache {
  get(key: string): Known | undefined;
  /** `ttlMs` comes from the server; what it comes to is 0 is not kept. */
  keep(key: string, answer: readonly unknown[], ttlMs: number, negative: boolean): void;
  keepFailure(key: string, failure: DnsUnavailable): void;
  readonly size: number;
}

export function createAnswerCache(bounds: CacheBounds, clock: Pick<Clock, "monotonic">): AnswerCache {
  const kept = new Map<string, Kept>();
  let weight = 0;

  function set(key: string, known: Known, ttlMs: number): void {
    if (ttlMs <= 0) return;
    remove(key);
    const entry = { known, until: clock.monotonic() + ttlMs, weight: weigh(known) };
    kept.set(key, entry);
    weight += entry.weight;
    for (const oldest of kept.keys()) {
      if (kept.size <= bounds.entries && weight <= mostWeight) break;
      remove(oldest);
    }
  }

  function remove(key: string): void {
    weight -= kept.get(key)?.weight ?? 0;
    kept.delete(key);
  }

  return {
    get(key) {
      const entry = kept.get(key);
      if (entry === undefined) return undefined;
      if (entry.until > clock.monotonic()) return entry.known;
      remove(key);
      return undefined;
    },
    keep(key, answer, ttlMs, negative) {
      const longest = negative ? Math.min(bounds.maxNegativeTtlMs, bounds.maxTtlMs) : bounds.maxTtlMs;
      set(key, answer, Math.min(Math.max(ttlMs, bounds.minTtlMs), longest));
    },
    keepFailure(key, failure) {
      set(key, failure, bounds.failureTtlMs);
    },
    get size() {
      return kept.size;
    },
  };
}

function weigh(known: Known): number {
  if (!Array.isArray(known)) return ownWeight;
  return (known as readonly unknown[]).reduce(
    (sum: number, record) => sum + ownWeight + textOf(record).length,
    ownWeight,
  );
}

function textOf(record: unknown): string {
  if (typeof record === "string") return record;
  const { exchange = "" } = (record ?? {}) as { readonly exchange?: string };
  return exchange;
}
