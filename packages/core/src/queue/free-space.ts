/**
 * Is there room? The system is asked now and then; in between, what was written since and what is under way is counted, so that
 * mail is refused well before the disk is full (queue.minFree, RFC 3463 4.3.1).
 */
import type { Clock } from "../model/index.ts";

/** An answer of the system is good for so long. */
const freshMs = 1000;

export class FreeSpace {
  readonly #ask: () => Promise<number>;
  readonly #clock: Clock;
  readonly #minFreeBytes: number;
  #free = Infinity;
  #askedAt = -Infinity;
  #written = 0;
  #underWay = 0;
  #asking: Promise<void> | undefined;

  constructor(ask: () => Promise<number>, clock: Clock, minFreeBytes: number) {
    this.#ask = ask;
    this.#clock = clock;
    this.#minFreeBytes = minFreeBytes;
  }

  /** An estimate; asks anew in the background when the last answer is old. */
  hasRoom(bytes: number): boolean {
    if (this.#clock.monotonic() - this.#askedAt > freshMs) void this.refresh();
    return this.#free - this.#written - this.#underWay - bytes >= this.#minFreeBytes;
  }

  /** Counts octets as under way until `release`. */
  take(bytes: number): void {
    this.#underWay += bytes;
  }

  release(bytes: number, written: boolean): void {
    this.#underWay -= bytes;
    if (written) this.#written += bytes;
  }

  /** Never rejects: a system that does not answer leaves the last estimate. */
  refresh(): Promise<void> {
    this.#asking ??= this.#refresh().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #refresh(): Promise<void> {
    const writtenBefore = this.#written;
    try {
      this.#free = await this.#ask();
      this.#written -= writtenBefore;
    } catch {
      // The next write will say what is wrong.
    }
    this.#askedAt = this.#clock.monotonic();
  }
}
