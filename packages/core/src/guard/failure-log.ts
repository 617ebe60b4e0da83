/**
 * Failures of plugins, counted by owner and point and told in bounded numbers: a plugin that fails on every command of every
 * client must not fill the disk with its log.
 */
import type { Clock } from "../model/clock.ts";
import { factsOf, type Failed } from "./guard.ts";

export interface FailureLog {
  report(failed: Failed): void;
  /** Since the start, by owner. */
  counts(): Readonly<Record<string, number>>;
}

/** Lines for one point of one owner in one minute; beyond them only their number. */
const linesPerMinute = 10;
const minuteMs = 60_000;

interface Told {
  since: number;
  lines: number;
}

export function createFailureLog(clock: Clock, warn: (owner: string, text: string) => void): FailureLog {
  const counts = new Map<string, number>();
  const told = new Map<string, Told>();

  return {
    report(failed) {
      const { owner, point } = failed;
      counts.set(owner.name, (counts.get(owner.name) ?? 0) + 1);
      const now = clock.monotonic();
      const key = `${owner.name}\n${point}`;
      let entry = told.get(key);
      if (entry === undefined || now - entry.since >= minuteMs) {
        if (entry !== undefined && entry.lines > linesPerMinute) {
          warn(owner.name, `${point} failed ${entry.lines - linesPerMinute} more times in that minute`);
        }
        told.set(key, (entry = { since: now, lines: 0 }));
      }
      entry.lines += 1;
      if (entry.lines <= linesPerMinute) warn(owner.name, describeFailure(failed));
    },
    counts: () => Object.fromEntries(counts),
  };
}

/** `smtp.rcpt failed (timeout): no answer within 10000 ms`. */
function describeFailure(failed: Failed): string {
  const { reason, text } = factsOf(failed);
  return `${failed.point} failed (${reason}): ${text}`;
}
