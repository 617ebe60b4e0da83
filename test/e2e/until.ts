// Waits for what happens in another process, where no event can be had.
import { setTimeout as delay } from "node:timers/promises";

export async function until(holds: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`still not so after ${timeoutMs} ms: ${holds.toString()}`);
    await delay(20);
  }
}
