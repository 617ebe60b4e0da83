/**
 * A circuit breaker as a pure state machine; the caller brings the time. Closed, it lets everything through. After several
 * failures in a row it opens: nobody asks for a while, then one does, and by how that ends it closes or waits twice as long.
 */

/** Failures in a row that open it. */
export const failuresToOpen = 5;
const firstWaitMs = 1000;
const longestWaitMs = 5000;

/** pass: ask. probe: ask, everybody else waits for how it ends. refuse: do not ask. */
export type Turn = "pass" | "probe" | "refuse";

export class Breaker {
  #failures = 0;
  /** 0 while closed. */
  #waitMs = 0;
  #openedMs = 0;
  #untilMs = 0;
  #probing = false;

  get failures(): number {
    return this.#failures;
  }

  /** Nobody asks, or one does to see. */
  get isOpen(): boolean {
    return this.#waitMs !== 0;
  }

  /** `nowMs` is monotonic, here and below. */
  ask(nowMs: number): Turn {
    if (this.#waitMs === 0) return "pass";
    if (this.#probing || nowMs < this.#untilMs) return "refuse";
    this.#probing = true;
    return "probe";
  }

  /** How long until somebody may ask; 0 while a probe is under way. */
  waitMs(nowMs: number): number {
    return this.#probing ? 0 : Math.max(this.#untilMs - nowMs, 0);
  }

  /** An answer, whoever got it: the other side lives. How long it was open when this closed it, else `undefined`. */
  succeeded(nowMs: number): number | undefined {
    this.#failures = 0;
    if (this.#waitMs === 0) return undefined;
    this.#waitMs = 0;
    this.#probing = false;
    return nowMs - this.#openedMs;
  }

  /** True when this opened it. What began before it opened and fails after does not count. */
  failed(turn: Turn, nowMs: number): boolean {
    const opens = this.#waitMs === 0;
    if (!opens && turn !== "probe") return false;
    this.#failures += 1;
    if (opens && this.#failures < failuresToOpen) return false;
    if (opens) this.#openedMs = nowMs;
    this.#waitMs = opens ? firstWaitMs : Math.min(this.#waitMs * 2, longestWaitMs);
    this.#untilMs = nowMs + this.#waitMs;
    this.#probing = false;
    return opens;
  }

  /** Nobody wanted the answer any more, which says nothing: the next may probe. */
  abandoned(turn: Turn): void {
    if (turn === "probe") this.#probing = false;
  }
}
