/** So many at once; the others wait in line until they are called off. */
import { ScannerFailure } from "../../errors.ts";
import { TransientSet } from "../../model/transient-map.ts";
import type { MaybePromise } from "../../model/index.ts";

/** `timeout`: called off while waiting. `down`: the line was too long, which says that the engine has been too slow for long. */
export class NoSlot extends ScannerFailure {}

const usualLine = 1_000;

export class Slots {
  readonly #line = new TransientSet<() => void>();
  readonly #longestLine: number;
  #count: number;
  #taken = 0;

  constructor(count: number, longestLine = usualLine) {
    this.#count = count;
    this.#longestLine = longestLine;
  }

  get free(): number {
    return Math.max(this.#count - this.#taken, 0);
  }

  /** What has a slot keeps it, also when there are fewer now. */
  resize(count: number): void {
    this.#count = count;
    for (const next of this.#line) {
      if (this.free === 0) return;
      this.#taken += 1;
      next();
    }
  }

  /** Runs `call` when a slot is free. Rejects with `NoSlot`, or as `call` does. */
  async run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    const waiting = this.enter(signal);
    if (waiting !== undefined) await waiting;
    try {
      // Between being let in and going on lie turns of others, who may call it off.
      if (signal.aborted) throw new NoSlot("timeout", "called off while waiting for others");
      return await call();
    } finally {
      this.leave();
    }
  }

  /** At once when a slot is free. Throws or rejects with `NoSlot`. */
  enter(signal: AbortSignal): MaybePromise<void> {
    if (signal.aborted) throw new NoSlot("timeout", "called off");
    if (this.#taken < this.#count) {
      this.#taken += 1;
      return undefined;
    }
    if (this.#line.size >= this.#longestLine) throw new NoSlot("down", `too many wait: ${this.#line.size}`);
    return this.#wait(signal);
  }

  /** Once for each `enter` that came to its end. */
  leave(): void {
    // A slot passes from one to the next in line without ever being free.
    const [next] = this.#line;
    if (next === undefined || this.#taken > this.#count) this.#taken -= 1;
    else next();
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        this.#line.delete(go);
        signal.removeEventListener("abort", callOff);
        resolve();
      };
      const callOff = (): void => {
        this.#line.delete(go);
        reject(new NoSlot("timeout", "called off while waiting for others"));
      };
      signal.addEventListener("abort", callOff, { once: true });
      this.#line.add(go);
    });
  }
}
