/**
 * A message streamed to clamd while it arrives, so that clamd has it when its last octet is here. Only an offer: whenever anything about it
 * is doubtful it is given up, and the message is scanned from where the gateway keeps it.
 */
import { isPromise, ScannerFailure, type Clock, type MaybePromise, type ScanIntake, type Timer } from "@postern/core";
import type { Daemon, OpenStream } from "./daemon.ts";

/** Smaller messages go to clamd in one packet or two when they are complete. */
export const worthStreamingBytes = 256 * 1024;
/** Until then references are held, not copies; of a message in so many pieces none are. */
const mostPieces = 1024;
/** A client slower than this in each period does not keep a slot of clamd's. */
const periodMs = 2_000;
const leastBytesAPeriod = 128 * 1024;

export interface IntakeOptions {
  readonly daemon: Daemon;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** More would be refused by `scan` anyway. */
  readonly maxBytes: number;
}

/** A verdict: the name of what was found, or none. */
export interface StreamOutcome {
  readonly found: string | undefined;
}

export class ClamdIntake implements ScanIntake {
  readonly daemon: Daemon;
  readonly #options: IntakeOptions;
  #bytes = 0;
  #held: Buffer[] | undefined = [];
  #stream: OpenStream | undefined;
  #timer: Timer | undefined;
  #bytesBefore = 0;
  #outcome: Promise<StreamOutcome | undefined> | undefined;

  constructor(options: IntakeOptions) {
    this.daemon = options.daemon;
    this.#options = options;
  }

  write(part: Buffer): MaybePromise<unknown> {
    this.#bytes += part.length;
    if (this.#stream !== undefined) return this.#send(this.#stream, part);
    if (this.#held === undefined) return undefined;
    this.#held.push(part);
    if (this.#bytes >= worthStreamingBytes) return this.#begin(this.#held);
    if (this.#held.length > mostPieces) this.#held = undefined;
    return undefined;
  }

  /**
   * The verdict on the message whose content is complete now, of `sizeBytes` or more: a name, or "clean". `undefined` when the stream did not
   * come to one. Rejects with the failure `tooLarge`, which clamd has decided.
   */
  async end(signal: AbortSignal, leastBytes: number): Promise<StreamOutcome | undefined> {
    const stream = this.#stream;
    if (stream !== undefined && (signal.aborted || this.#bytes < leastBytes)) this.#giveUp();
    else if (stream !== undefined) {
      signal.addEventListener("abort", this.#giveUp, { once: true });
      this.#finish(stream);
    }
    try {
      return await this.#outcome;
    } finally {
      signal.removeEventListener("abort", this.#giveUp);
      this.#forget();
    }
  }

  /** Also when clamd has said something before the end: the slot is not for keeping then. */
  #finish(stream: OpenStream): void {
    if (this.#outcome !== undefined || this.#stream === undefined) return;
    this.#timer?.cancel();
    this.#outcome = stream.end().then(
      (found) => ({ found }),
      (error: unknown) => {
        if (error instanceof ScannerFailure && error.reason === "tooLarge") throw error;
        return undefined;
      },
    );
    this.#outcome.catch(() => undefined); // nobody may come for it
  }

  #begin(held: readonly Buffer[]): MaybePromise<unknown> {
    const { clock, signal } = this.#options;
    this.#held = undefined;
    const stream = this.daemon.openStream(signal, () => this.#stream !== undefined && this.#finish(this.#stream));
    if (stream === undefined) return undefined;
    this.#stream = stream;
    signal.addEventListener("abort", this.#giveUp, { once: true });
    this.#timer = clock.setTimer(this.#check, periodMs);
    let flowing: MaybePromise<unknown>;
    for (const part of held) flowing = this.#send(stream, part);
    return flowing;
  }

  #send(stream: OpenStream, part: Buffer): MaybePromise<unknown> {
    if (this.#bytes > this.#options.maxBytes) {
      this.#giveUp();
      return undefined;
    }
    if (this.#outcome !== undefined) return undefined;
    const flowing = stream.write(part);
    return isPromise(flowing) ? flowing : undefined;
  }

  readonly #check = (): void => {
    if (this.#bytes - this.#bytesBefore < leastBytesAPeriod) return this.#giveUp();
    this.#bytesBefore = this.#bytes;
    this.#timer = this.#options.clock.setTimer(this.#check, periodMs);
  };

  readonly #giveUp = (): void => {
    this.#stream?.abandon();
    this.#forget();
  };

  #forget(): void {
    this.#stream = undefined;
    this.#held = undefined;
    this.#timer?.cancel();
    this.#options.signal.removeEventListener("abort", this.#giveUp);
  }
}
