/** A wait in which a client is told nothing: over in time, or when the session or the server ends. */
import type { Clock } from "../model/index.ts";

export interface Pause {
  readonly over: Promise<void>;
  /** Idempotent. */
  end(): void;
}

export function startPause(clock: Clock, waitMs: number): Pause {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.setTimer(resolve, waitMs);
  return {
    over: promise,
    end: () => {
      timer.cancel();
      resolve();
    },
  };
}
