/** How many scans run at once; the rest wait in line until they are called off. */
import { ScannerFailure, type MaybePromise } from "@postern/core";

/** Scans in line; more than these say that clamd has been too slow for long. */
const longestLine = 1_000;

export interface Slots {
  readonly free: number;
  /** At once when a slot is free. Throws or rejects with `ScannerFailure` when called off before, or when the line is too long. */
  enter(signal: AbortSignal): MaybePromise<void>;
  /** Once for each `enter` that came to its end. */
  leave(): void;
}

export function createSlots(count: number): Slots {
  const line = new Set<() => void>();
  let free = count;

  function wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        line.delete(go);
        reject(new ScannerFailure("timeout", "called off while waiting for other scans"));
      };
      const go = (): void => {
        line.delete(go);
        signal.removeEventListener("abort", leave);
        resolve();
      };
      signal.addEventListener("abort", leave, { once: true });
      line.add(go);
    });
  }

  return {
    get free() {
      return free;
    },
    enter(signal) {
      if (signal.aborted) throw new ScannerFailure("timeout", "called off");
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      if (line.size >= longestLine) throw new ScannerFailure("down", "too many scans wait for clamd");
      return wait(signal);
    },
    leave() {
      // A slot passes from one scan to the next in line without ever being free.
      const [next] = line;
      if (next === undefined) free += 1;
      else next();
    },
  };
}
