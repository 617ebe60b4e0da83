/**
 * Answers by question until their time is over: the empty ones too (RFC 2308), and failures (RFC 9520). Bounded in entries,
 * the oldest goes first.
 */
import { DnsUnavailable } from "../errors.ts";
import type { Clock } from "../model/clock.ts";

/** Records, in the form that the resolver hands out, or why there was no answer. */
export type Known = readonly unknown[] | DnsUnavailable;

interface Kept {
  readonly known: Known;
  readonly until: number;
}

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

  function set(key: string, known: Known, ttlMs: number): void {
    if (ttlMs <= 0) return;
    kept.delete(key);
    kept.set(key, { known, until: clock.monotonic() + ttlMs });
    for (const oldest of kept.keys()) {
      if (kept.size <= bounds.entries) break;
      kept.delete(oldest);
    }
  }

  return {
    get(key) {
      const entry = kept.get(key);
      if (entry === undefined) return undefined;
      if (entry.until > clock.monotonic()) return entry.known;
      kept.delete(key);
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
