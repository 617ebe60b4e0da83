/** So many at once; the others wait in line until they are called off. */
export class CalledOff extends Error {}

export class Slots {
  #free: number;
  readonly #line = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Rejects with `CalledOff` when called off while it waits. */
  async run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    // A slot passes from one to the next in line without ever being free.
    if (this.#free > 0) this.#free -= 1;
    else await this.#enter(signal);
    try {
      return await call();
    } finally {
      const [next] = this.#line;
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #enter(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line.delete(go);
        reject(new CalledOff("called off while waiting for others"));
      };
      const go = (): void => {
        this.#line.delete(go);
        signal.removeEventListener("abort", leave);
        resolve();
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      this.#line.add(go);
    });
  }
}
