/** One deadline that moves often and is met seldom: the timer stays where it is while the new deadline is later. */
import type { Clock, Timer } from "@postern/core";

export interface Deadline {
  /** `delayMs` from now, in place of the one before. */
  set(delayMs: number): void;
  /** None for now. */
  clear(): void;
  /** For good. */
  stop(): void;
}

export function createDeadline(clock: Clock, expired: () => void): Deadline {
  let dueAt = Infinity;
  let timer: Timer | undefined;
  let firesAt = Infinity;

  function arm(delayMs: number): void {
    timer?.cancel();
    firesAt = clock.monotonic() + delayMs;
    timer = clock.setTimer(fire, delayMs);
  }

  function fire(): void {
    timer = undefined;
    firesAt = Infinity;
    if (dueAt === Infinity) return;
    const left = dueAt - clock.monotonic();
    // Timers may fire a moment early.
    if (left > 1) return arm(left);
    dueAt = Infinity;
    expired();
  }

  return {
    set(delayMs) {
      dueAt = clock.monotonic() + delayMs;
      if (firesAt > dueAt) arm(delayMs);
    },
    clear() {
      dueAt = Infinity;
    },
    stop() {
      dueAt = Infinity;
      firesAt = Infinity;
      timer?.cancel();
      timer = undefined;
    },
  };
}
