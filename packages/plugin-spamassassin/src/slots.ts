/** How many scans run at once; the rest wait in line until they are called off. */
import { ScannerFailure } from "@postern/core";

/** Scans in line; more than these say that spamd has been too slow for long. */
const longestLine = 1_000;

export interface Slots {
  /** Runs `call` when a slot is free. Throws `ScannerFailure` when called off before, or when the line is too long. */
  run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T>;
}

export function createSlots(count: number): Slots {
  const line = new Set<() => void>();
  let free = count;

  function enter(signal: AbortSignal): Promise<void> {
    if (line.size >= longestLine) return Promise.reject(new ScannerFailure("down", "too many scans wait for spamd"));
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
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      line.add(go);
    });
  }

  return {
    async run(signal, call) {
      // A slot passes from one scan to the next in line without ever being free.
      if (free > 0) free -= 1;
      else await enter(signal);
      try {
        return await call();
      } finally {
        const [next] = line;
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}
