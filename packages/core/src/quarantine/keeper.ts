/**
 * Deletes what has expired. It keeps no list of its own: the store knows every due time, and is looked through when the earliest
 * of them has come, a part at a time. One timer; none when nothing is there.
 */
import type { Clock, Timer } from "../model/index.ts";
import type { WaitingMessage } from "../queue/index.ts";
import { turn } from "./turn.ts";

export interface KeeperOptions {
  readonly clock: Pick<Clock, "now" | "setTimer">;
  readonly waiting: () => Iterable<WaitingMessage>;
  /** Deletes one. A rejection leaves it, to be tried again later. */
  readonly expire: (id: string) => Promise<void>;
}

/** Looked at before the event loop has its turn. */
const lookedAtOnce = 5000;
/** Deleted in one round, and of them side by side. */
const mostInRound = 1000;
const sideBySide = 32;
/** Rounds are at least so far apart: an hour that begins with a thousand messages, each a second after the other, is no thousand searches. */
const restMs = 30_000;
const afterFailureMs = 10 * 60_000;
/** The wall clock may be set: no due time is slept through for longer than this. */
const longestSleepMs = 60 * 60_000;

export class Keeper {
  readonly #options: KeeperOptions;
  #timer: Timer | undefined;
  /** Wall clock, of the timer. */
  #wakesAt = Infinity;
  #round: Promise<void> | undefined;
  /** Seen in the round under way, wall clock. */
  #earliest = Infinity;
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Looks at all there is. */
  start(): void {
    this.#wake();
  }

  /** There is one more. */
  expect(expiresAt: number): void {
    if (this.#round === undefined) this.#wakeAt(expiresAt);
    else this.#earliest = Math.min(this.#earliest, expiresAt);
  }

  /** Ends after what is being deleted. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
  }

  #wake(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakesAt = Infinity;
    if (this.#stopped || this.#round !== undefined) return;
    this.#earliest = Infinity;
    this.#round = this.#look().finally(() => {
      this.#round = undefined;
      this.#wakeAt(this.#earliest);
    });
  }

  #wakeAt(at: number): void {
    if (this.#stopped || at === Infinity) return;
    const { clock } = this.#options;
    const now = clock.now();
    const wakesAt = Math.min(at, now + longestSleepMs);
    if (wakesAt >= this.#wakesAt) return;
    this.#timer?.cancel();
    this.#wakesAt = wakesAt;
    this.#timer = clock.setTimer(() => this.#wake(), Math.max(wakesAt - now, 0));
  }

  async #look(): Promise<void> {
    const now = this.#options.clock.now();
    const due: string[] = [];
    let looked = 0;
    for (const { id, nextAttemptAt } of this.#options.waiting()) {
      if (nextAttemptAt > now || due.length >= mostInRound) this.#seen(Math.max(nextAttemptAt, now + 1));
      else due.push(id);
      looked += 1;
      if (looked % lookedAtOnce === 0) await turn();
      if (this.#stopped) return;
    }
    for (let at = 0; at < due.length && !this.#stopped; at += sideBySide) {
      await Promise.all(due.slice(at, at + sideBySide).map((id) => this.#expire(id)));
    }
    if (due.length > 0 && due.length < mostInRound) this.#earliest = Math.max(this.#earliest, now + restMs);
  }

  async #expire(id: string): Promise<void> {
    try {
      await this.#options.expire(id);
    } catch {
      this.#seen(this.#options.clock.now() + afterFailureMs);
    }
  }

  #seen(expiresAt: number): void {
    this.#earliest = Math.min(this.#earliest, expiresAt);
  }
}
