/** Time as a dependency: everything that waits takes a clock, so that tests move it by hand. */

export interface Timer {
  /** Idempotent. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. For due times, dates and logs. */
  now(): number;
  /** Never goes back, milliseconds from an arbitrary start. For durations. */
  monotonic(): number;
  /** Calls once after `delayMs`. A timer keeps no process alive. */
  setTimer(call: () => void, delayMs: number): Timer;
}

/** Node clamps longer delays to 1 ms. */
const longestDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = Object.freeze({
  now: Date.now,
  monotonic: () => performance.now(),
  setTimer(call: () => void, delayMs: number): Timer {
    const handle = setTimeout(call, Math.min(Math.max(delayMs, 0), longestDelayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
});
