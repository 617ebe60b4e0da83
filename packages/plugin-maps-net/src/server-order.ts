/** Which of several servers is asked: the first in their order, but not one that failed a moment ago while there are others. */
import type { Clock } from "@postern/core";
import type { Endpoint } from "./endpoint.ts";

const passOverMs = 1000;

export class ServerOrder {
  readonly #endpoints: readonly Endpoint[];
  readonly #clock: Clock;
  readonly #passOver = new Map<Endpoint, number>();

  constructor(endpoints: readonly Endpoint[], clock: Clock) {
    this.#endpoints = endpoints;
    this.#clock = clock;
  }

  get count(): number {
    return this.#endpoints.length;
  }

  /** The first that was not tried and is not passed over; when all are, the one whose time comes first. */
  choose(tried: ReadonlySet<Endpoint>): Endpoint {
    const now = this.#clock.monotonic();
    const due = (endpoint: Endpoint) => Math.max(this.#passOver.get(endpoint) ?? now, now);
    const untried = this.#endpoints.filter((endpoint) => !tried.has(endpoint));
    return (untried.length > 0 ? untried : this.#endpoints).reduce((best, next) =>
      due(next) < due(best) ? next : best,
    );
  }

  failed(endpoint: Endpoint): void {
    if (this.count > 1) this.#passOver.set(endpoint, this.#clock.monotonic() + passOverMs);
  }

  answered(endpoint: Endpoint): void {
    this.#passOver.delete(endpoint);
  }
}
