/** The state store's failures as log lines: one in a while, since each second may bring one. */
import type { Gateway } from "@postern/core";

const everyMs = 60_000;

export function createTrouble({ clock, log }: Pick<Gateway, "clock" | "log">): (error: unknown) => void {
  let lastAt = -Infinity;
  return (error) => {
    const now = clock.monotonic();
    if (now - lastAt < everyMs) return;
    lastAt = now;
    const why = error instanceof Error ? error.message : String(error);
    log.warn(`the state store cannot be asked, limits count for this process alone: ${why}`);
  };
}
