/**
 * SIGINT, SIGTERM and SIGHUP: the first asks for a clean end, a later one ends at once. One that follows within a second is the
 * same request: a signal to the whole process group comes directly and by way of the shim.
 */
import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const sameRequestMs = 1000;

export interface Stopping {
  /** Resolves with the signal's name at the first one. */
  readonly asked: Promise<string>;
  release(): void;
}

export function onStop(): Stopping {
  let ask: (signal: string) => void = () => undefined;
  const asked = new Promise<string>((resolve) => {
    ask = resolve;
  });
  let firstAt: number | undefined;
  const handle = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    firstAt ??= now;
    if (now - firstAt > sameRequestMs) process.exit(128 + constants.signals[signal]);
    ask(signal);
  };
  for (const signal of signals) process.on(signal, handle);
  return {
    asked,
    release() {
      for (const signal of signals) process.off(signal, handle);
    },
  };
}
