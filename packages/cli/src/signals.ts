/** SIGINT and SIGTERM: the first asks for a clean end, the second ends at once. */
import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM"] as const;

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
  let count = 0;
  const handle = (signal: NodeJS.Signals): void => {
    count += 1;
    if (count > 1) process.exit(128 + constants.signals[signal]);
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
