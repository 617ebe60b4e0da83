/** A clock that stands until it is moved by hand; its timers run in the order of their due times. */
import type { Clock, Timer } from "@postern/core";

export interface FakeClock extends Clock {
  /** Moves both clocks by `ms` and runs what falls due on the way, each timer at its own time. Timers set by timers run too. */
  advance(ms: number): void;
  /** The same, but lets promises and I/O callbacks go on before, between and after the timers. */
  run(ms: number): Promise<void>;
  /**
   * Runs, 100 ms a turn, until `holds`: for what waits for the disk or a socket in between, which take as long as they take. Rejects when it
   * does not hold after half a minute of real time.
   */
  runUntil(holds: () => boolean): Promise<void>;
  /** Sets the wall clock alone, forwards or back, as an operator or NTP would. No timer runs. */
  setWallClock(ms: number): void;
  /** Timers that wait. A test that ends with some has leaked them. */
  readonly pending: number;
}

const stepMs = 100;
const longestWaitMs = 30_000;

interface Waiting {
  readonly due: number;
  readonly order: number;
  readonly call: () => void;
}

/** `startAt` is milliseconds since 1970; by default 2026-01-01T00:00:00Z. */
export function createFakeClock(startAt: number = Date.UTC(2026, 0, 1)): FakeClock {
  const waiting = new Set<Waiting>();
  let elapsed = 0;
  let wall = startAt;
  let order = 0;

  function move(to: number): void {
    wall += to - elapsed;
    elapsed = to;
  }

  /** The first timer due until `end`; of equal due times the one set first. */
  function next(end: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of waiting) {
      if (timer.due > end) continue;
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }

  function fire(timer: Waiting): void {
    waiting.delete(timer);
    move(timer.due);
    timer.call();
  }

  async function run(ms: number): Promise<void> {
    const end = elapsed + ms;
    await breathe();
    for (let timer = next(end); timer !== undefined; timer = next(end)) {
      fire(timer);
      await breathe();
    }
    move(end);
    await breathe();
  }

  return {
    now: () => wall,
    monotonic: () => elapsed,
    setTimer(call, delayMs): Timer {
      order += 1;
      const timer: Waiting = { due: elapsed + Math.max(delayMs, 0), order, call };
      waiting.add(timer);
      return { cancel: () => void waiting.delete(timer) };
    },
    advance(ms) {
      const end = elapsed + ms;
      for (let timer = next(end); timer !== undefined; timer = next(end)) fire(timer);
      move(end);
    },
    run,
    async runUntil(holds) {
      const deadline = performance.now() + longestWaitMs;
      while (!holds()) {
        if (performance.now() > deadline) throw new Error(`still not so: ${holds.toString()}`);
        await run(stepMs);
      }
    },
    setWallClock(ms) {
      wall = ms;
    },
    get pending() {
      return waiting.size;
    },
  };
}

/** One turn of the event loop: promises that can go on have gone on. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
