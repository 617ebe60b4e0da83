/**
 * Lookups under way, one a key: who asks for a key that is being asked waits for the same answer. Who gives up leaves alone;
 * when all have left, the lookup itself is told to end.
 */

import { TransientMap } from "../model/transient-map.ts";

interface Flight<T> {
  readonly answer: Promise<T>;
  /** Only when the first asker could give up: most never can, and a controller is not free. */
  readonly controller: AbortController | undefined;
  waiters: number;
}

export class Flights<T> {
  readonly #flights = new TransientMap<string, Flight<T>>();

  /** The answer of the lookup that is under way for `key`; `undefined` when there is none. */
  join(key: string, signal: AbortSignal | undefined): Promise<T> | undefined {
    const flight = this.#flights.get(key);
    return flight === undefined ? undefined : this.#wait(key, flight, signal);
  }

  /** Takes up the lookup that the caller began; `controller` ends it, and goes with a `signal`. */
  start(key: string, answer: Promise<T>, signal?: AbortSignal, controller?: AbortController): Promise<T> {
    const flight = { answer, controller, waiters: 0 };
    this.#flights.set(key, flight);
    const land = () => this.#land(key, flight);
    answer.then(land, land);
    return this.#wait(key, flight, signal);
  }

  #land(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  #wait(key: string, flight: Flight<T>, signal: AbortSignal | undefined): Promise<T> {
    flight.waiters += 1;
    if (signal === undefined) return flight.answer;
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        reject(signal.reason as Error);
        if (--flight.waiters > 0) return;
        this.#land(key, flight);
        flight.controller?.abort(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      const stay = () => signal.removeEventListener("abort", leave);
      flight.answer.then(
        (value) => {
          stay();
          resolve(value);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }
}
