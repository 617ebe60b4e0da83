/** How the gateway's process collects garbage. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { CollectGarbage } from "@postern/core";

/** As `--expose-gc` gives it. */
type Collect = (options: {
  readonly type: "minor" | "major";
  readonly execution?: "sync";
  readonly flavor?: "last-resort";
}) => void;

/**
 * Sets how V8 collects, and gives the means to ask for it. To be called before anything else has grown the heap.
 *
 * Full collections mark the heap in one stop of some 30 ms, not in small steps with helping threads. V8 begins one for every 64 MB of
 * socket buffers, which is every few dozen large messages, while the heap that it marks stays at some 20 MB: the steps, their barriers
 * and the helpers cost a fifth of all CPU at 64 KiB and above.
 *
 * "all" also gives back what the heap no longer needs, some 20 MB after a start, in about 50 ms; "young" takes one or two.
 */
export function takeOverCollection(): CollectGarbage {
  setFlagsFromString("--no-incremental-marking");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  return (garbage) => {
    if (garbage === "young") collect({ type: "minor" });
    else collect({ type: "major", execution: "sync", flavor: "last-resort" });
  };
}
