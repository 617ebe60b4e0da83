/**
 * Messages that were committed a moment ago, with their content, so that mail delivered at once is not read back from disk.
 * Bounded by octets; the oldest goes first. What is not here is on disk.
 */
import type { Blob } from "../message/index.ts";
import type { QueuedMessage } from "../model/index.ts";
import type { Schedule, Settlement } from "./store.ts";

export interface HandedOff {
  readonly message: QueuedMessage;
  readonly content: Blob;
  settled: readonly Settlement[];
  schedule: Schedule | undefined;
}

/** Message, envelope and map entry, roughly. */
const overheadBytes = 1024;

export class HandOff {
  readonly #held = new Map<string, HandedOff>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(id: string): HandedOff | undefined {
    return this.#held.get(id);
  }

  put(message: QueuedMessage, content: Blob): void {
    const held = { message, content, settled: [], schedule: undefined };
    const cost = costOf(held);
    if (cost > this.#maxBytes) return;
    this.#held.set(message.id, held);
    this.#bytes += cost;
    if (this.#bytes > this.#maxBytes) this.#evict();
  }

  delete(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    this.#bytes -= costOf(held);
  }

  #evict(): void {
    for (const id of this.#held.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.delete(id);
    }
  }
}

/** A chunk may be a small part of a large buffer that it keeps alive. */
function costOf({ message, content }: HandedOff): number {
  let bytes = overheadBytes + message.envelope.recipients.length * 128;
  for (const chunk of content.chunks ?? content.head ?? []) bytes += chunk.buffer.byteLength;
  return bytes;
}
