/** How the gateway's process collects garbage. */
import { setFlagsFromString } from "node:v8";

/**
 * Full collections mark the heap in one stop of some 30 ms, not in small steps with helping threads. V8 begins one for every 64 MB of
 * socket buffers, which is every few dozen large messages, while the heap that it marks stays at some 20 MB: the steps, their barriers
 * and the helpers cost a fifth of all CPU at 64 KiB and above. To be called before anything else has grown the heap.
 */
export function markInOneStop(): void {
  setFlagsFromString("--no-incremental-marking");
}
