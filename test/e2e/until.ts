// Waits for what happens where no event can be had, as in another process.
import { setTimeout as delay } from "node:timers/promises";

export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 1; !(await holds()); pauseMs = Math.min(2 * pauseMs, 20)) {
    if (performance.now() > deadline) throw new Error(`still not so after ${timeoutMs} ms: ${holds.toString()}`);
    await delay(pauseMs);
  }
}
