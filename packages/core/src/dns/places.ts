/** Questions on the wire at a time: who finds no place waits in line, until its own deadline. */
import { DnsUnavailable } from "../errors.ts";
import type { Clock } from "../model/clock.ts";

export interface Places {
  /** A place, at once or when one is free. Throws `DnsUnavailable` after `waitMs`. Each place taken is to be left. */
  enter(waitMs: number): Promise<void> | undefined;
  leave(): void;
}

export function createPlaces(limit: number, clock: Pick<Clock, "setTimer">): Places {
  const line = new Set<() => void>();
  let taken = 0;
  return {
    enter(waitMs) {
      if (taken < limit) {
        taken += 1;
        return undefined;
      }
      return new Promise((resolve, reject) => {
        const timer = clock.setTimer(() => {
          line.delete(next);
          reject(new DnsUnavailable(`too many questions are waiting for an answer`));
        }, waitMs);
        const next = (): void => {
          timer.cancel();
          resolve();
        };
        line.add(next);
      });
    },
    leave() {
      for (const next of line) {
        line.delete(next);
        return next(); // the place is handed on
      }
      taken -= 1;
    },
  };
}
