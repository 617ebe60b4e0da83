/** Answers by question until their TTL is over, the empty ones too; bounded in entries, the oldest goes first. */
import type { Clock } from "../model/clock.ts";

interface Kept {
  readonly answer: readonly unknown[];
  readonly until: number;
}

export interface AnswerCache {
  get(key: string): readonly unknown[] | undefined;
  /** A TTL of zero is not kept. */
  set(key: string, answer: readonly unknown[], ttlMs: number): void;
  readonly size: number;
}

export function createAnswerCache(limit: number, clock: Pick<Clock, "monotonic">): AnswerCache {
  const kept = new Map<string, Kept>();
  return {
    get(key) {
      const entry = kept.get(key);
      if (entry === undefined) return undefined;
      if (entry.until > clock.monotonic()) return entry.answer;
      kept.delete(key);
      return undefined;
    },
    set(key, answer, ttlMs) {
      if (ttlMs <= 0) return;
      kept.delete(key);
      kept.set(key, { answer, until: clock.monotonic() + ttlMs });
      for (const oldest of kept.keys()) {
        if (kept.size <= limit) break;
        kept.delete(oldest);
      }
    },
    get size() {
      return kept.size;
    },
  };
}
