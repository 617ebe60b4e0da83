/**
 * The deadlines of one session: for a command, for a transfer as a whole, for a transfer's rate. One timer that looks at the
 * time when it fires, so that an answer in time costs no timer of its own.
 */
import type { Clock, Timer } from "../model/index.ts";

export type Expiry = "command" | "transfer" | "rate";

interface Transfer {
  readonly endsAt: number;
  readonly minBytes: number;
  readonly received: () => number;
  receivedBefore: number;
  windowEndsAt: number;
  firstWindow: boolean;
}

const windowMs = 60_000;

export class Watchdog {
  readonly #clock: Clock;
  readonly #onExpiry: (expiry: Expiry) => void;
  #timer: Timer | undefined;
  #firesAt = Infinity;
  #until = Infinity;
  #transfer: Transfer | undefined;

  constructor(clock: Clock, onExpiry: (expiry: Expiry) => void) {
    this.#clock = clock;
    this.#onExpiry = onExpiry;
  }

  /** The client owes a whole command within this time. */
  expectCommand(withinMs: number): void {
    this.#transfer = undefined;
    this.#setUntil(this.#clock.monotonic() + withinMs);
  }

  /** The client owes the rest of a message. `received` counts its octets so far. */
  expectTransfer(withinMs: number, minRateBytesPerSecond: number, received: () => number): void {
    const now = this.#clock.monotonic();
    this.#transfer = {
      endsAt: now + withinMs,
      minBytes: (minRateBytesPerSecond * windowMs) / 1000,
      received,
      receivedBefore: 0,
      windowEndsAt: minRateBytesPerSecond > 0 ? now + windowMs : Infinity,
      firstWindow: true,
    };
    this.#setUntil(Math.min(this.#transfer.endsAt, this.#transfer.windowEndsAt));
  }

  /** We owe an answer: others bound the time. */
  suspend(): void {
    this.#until = Infinity;
    this.#transfer = undefined;
  }

  stop(): void {
    this.suspend();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#firesAt = Infinity;
  }

  #setUntil(until: number): void {
    this.#until = until;
    if (this.#firesAt > until) this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#firesAt = this.#until;
    this.#timer = this.#clock.setTimer(() => this.#fire(), this.#until - this.#clock.monotonic());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#firesAt = Infinity;
    if (this.#until === Infinity) return;
    const now = this.#clock.monotonic();
    // Timers may fire a little early; what is nearly due is due.
    if (now + 1 < this.#until) return this.#arm();
    const transfer = this.#transfer;
    if (transfer === undefined) return this.#onExpiry("command");
    if (now + 1 >= transfer.endsAt) return this.#onExpiry("transfer");
    const received = transfer.received();
    if (!transfer.firstWindow && received - transfer.receivedBefore < transfer.minBytes) return this.#onExpiry("rate");
    transfer.firstWindow = false;
    transfer.receivedBefore = received;
    transfer.windowEndsAt = now + windowMs;
    this.#until = Math.min(transfer.endsAt, transfer.windowEndsAt);
    this.#arm();
  }
}
