/** What a process still holds once its garbage is gone: the same on every machine, which its resident memory is not. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** The heap and the buffers outside of it, in octets, after a full collection. */
export function heldBytes(): number {
  // The first finds the buffers that nobody holds, and lets go of them beside us, at its leisure; the second waits for that.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The most that is held while `work` is done, beyond what was before, as far as a look now and then shows. */
export async function mostHeld(work: () => Promise<void>): Promise<number> {
  const before = heldBytes();
  let most = before;
  const look = () => (most = Math.max(most, heldBytes()));
  const pulse = setInterval(look, 50);
  try {
    await work();
  } finally {
    clearInterval(pulse);
  }
  look();
  return most - before;
}
