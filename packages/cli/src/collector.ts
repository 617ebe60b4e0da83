/** How the gateway's process collects garbage. */
import { totalmem } from "node:os";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Collector } from "@postern/core";

const mib = 1024 * 1024;
/** Of large messages that went to their files. */
const youngEveryBytes = 16 * mib;
const lookEveryBytes = 16 * mib;
const lookEveryMs = 1000;

/** What V8 is asked; as `--expose-gc` gives it. */
export interface Heap {
  /** Of all buffers outside of the heap, garbage or not. */
  externalBytes(): number;
  collect(options: {
    readonly type: "minor" | "major";
    readonly execution?: "sync";
    readonly flavor?: "last-resort";
  }): void;
}

/**
 * Sets how V8 collects, and does in its place what it cannot know. To be called before anything else has grown the heap.
 *
 * Each read of a socket takes a buffer of 64 KiB outside of the heap. V8 begins a full collection for every 64 MB of them, which is every
 * few dozen large messages, while the heap that it marks stays at some 20 MB. So it is told to count them as the rest, and to mark in one stop
 * of some 30 ms, not in small steps with helping threads; and the buffers are watched here, with a larger bound where the machine has
 * memory. Left to V8 they cost nearly a quarter of all CPU at 1 MiB.
 */
export function takeOverCollection(): Collector {
  for (const flag of ["--no-incremental-marking", "--external-memory-accounted-in-global-limit", "--expose-gc"]) {
    setFlagsFromString(flag);
  }
  const collect = runInNewContext("gc") as Heap["collect"];
  const heap: Heap = { externalBytes: () => getHeapStatistics().external_memory, collect };
  const collector = new BufferCollector(heap, garbageBound(memoryBytes()));
  setInterval(() => collector.look(), lookEveryMs).unref();
  return collector;
}

/** Of the machine, or what a control group leaves of it. */
function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** A thirty-second of the memory, 64 to 256 MiB. */
export function garbageBound(memoryBytes: number): number {
  return Math.min(Math.max(memoryBytes / 32, 64 * mib), 256 * mib);
}

export class BufferCollector implements Collector {
  readonly #heap: Heap;
  readonly #boundBytes: number;
  /** What the last collection left. */
  #keptBytes = 0;
  #receivedBytes = 0;
  #spilledBytes = 0;

  constructor(heap: Heap, boundBytes: number) {
    this.#heap = heap;
    this.#boundBytes = boundBytes;
  }

  /** Also gives back to the system what the heap no longer needs, some 20 MB, in about 50 ms. */
  started(): void {
    this.#heap.collect({ type: "major", execution: "sync", flavor: "last-resort" });
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes < lookEveryBytes) return;
    this.#receivedBytes = 0;
    this.look();
  }

  /** What was just written was read moments ago: it dies young, in a millisecond or two. */
  spilled(bytes: number): void {
    this.#spilledBytes += bytes;
    if (this.#spilledBytes < youngEveryBytes) return;
    this.#spilledBytes = 0;
    this.#heap.collect({ type: "minor" });
  }

  look(): void {
    const bytes = this.#heap.externalBytes();
    if (bytes < this.#keptBytes) this.#keptBytes = bytes;
    if (bytes - this.#keptBytes < this.#boundBytes) return;
    this.#heap.collect({ type: "major", execution: "sync" });
    this.#keptBytes = this.#heap.externalBytes();
  }
}
