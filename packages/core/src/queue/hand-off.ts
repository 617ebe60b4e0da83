/**
 * Messages that were committed a moment ago, with their content, so that mail delivered at once is not read back from disk.
 * Bounded by octets: what comes when there is no room is not held, for what came before it is delivered before it; what has lain here
 * for long makes room. What is not here is on disk.
 */
import type { Blob } from "../message/index.ts";
import { TransientMap, type Clock, type QueuedMessage } from "../model/index.ts";
import { Settlements } from "./settlements.ts";
import type { Schedule } from "./store.ts";

export interface HandedOff {
  readonly message: QueuedMessage;
  readonly content: Blob;
  /** Monotonic. */
  readonly since: number;
  readonly settled: Settlements;
  schedule: Schedule | undefined;
}

/** Message, envelope and map entry, roughly. */
const overheadBytes = 1024;
/** Mail that is delivered at once is delivered within this time. */
const freshMs = 5000;

export class HandOff {
  readonly #held = new TransientMap<string, HandedOff>();
  readonly #maxBytes: number;
  readonly #clock: Clock;
  #bytes = 0;

  constructor(maxBytes: number, clock: Clock) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  get(id: string): HandedOff | undefined {
    return this.#held.get(id);
  }

  put(message: QueuedMessage, content: Blob, schedule?: Schedule): void {
    const now = this.#clock.monotonic();
    const held = { message, content, since: now, settled: new Settlements(), schedule };
    const cost = costOf(held);
    if (!this.#makeRoom(cost, now)) return;
    this.#held.set(message.id, held);
    this.#bytes += cost;
  }

  delete(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#bytes -= costOf(held);
  }

  #makeRoom(cost: number, now: number): boolean {
    if (cost > this.#maxBytes) return false;
    for (const [id, { since }] of this.#held) {
      if (this.#bytes + cost <= this.#maxBytes) return true;
      if (now - since < freshMs) return false;
      this.delete(id);
    }
    return true;
  }
}

/** A chunk may be a small part of a large buffer that it keeps alive. */
function costOf({ message, content }: HandedOff): number {
  let bytes = overheadBytes + message.envelope.recipients.length * 128;
  let last: ArrayBufferLike | undefined;
  for (const { buffer } of content.chunks ?? content.head ?? []) {
    if (buffer !== last) bytes += buffer.byteLength;
    last = buffer;
  }
  return bytes;
}
