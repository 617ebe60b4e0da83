/** A queue store that keeps everything in memory and nothing over a restart: for tests and for gateways that only judge. */
import { createMemoryBlob, type Blob } from "../message/index.ts";
import type { QueuedMessage } from "../model/index.ts";
import { PosternError } from "../errors.ts";
import { entryOf, Settlements } from "./settlements.ts";
import type { OpenReport, QueueEntry, QueueStore, Schedule, Settlement, WaitingMessage } from "./store.ts";

export interface MemoryStoreOptions {
  /** Octets of content held before `STORE_FULL`. 256 MiB. */
  readonly maxBytes?: number;
}

interface Held {
  readonly message: QueuedMessage;
  readonly content: Blob;
  readonly settled: Settlements;
  schedule: Schedule | undefined;
}

export function createMemoryStore(options: MemoryStoreOptions = {}): QueueStore {
  return new MemoryStore(options.maxBytes ?? 256 * 1024 * 1024);
}

class MemoryStore implements QueueStore {
  readonly #messages = new Map<string, Held>();
  readonly #maxBytes: number;
  /** Held or being taken in. */
  #bytes = 0;
  #closed = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#messages.size;
  }

  async open(): Promise<OpenReport> {
    return { waiting: 0, damage: [] };
  }

  *waiting(): Generator<WaitingMessage> {
    for (const [id, { schedule }] of this.#messages) yield { id, nextAttemptAt: schedule?.nextAttemptAt ?? 0 };
  }

  contentBytes(id: string): number | undefined {
    return this.#messages.get(id)?.content.sizeBytes;
  }

  entry(id: string): QueueEntry | undefined {
    const held = this.#messages.get(id);
    return held && entryOf(held.message, held.settled, held.schedule);
  }

  content(id: string): Blob | undefined {
    return this.#messages.get(id)?.content;
  }

  hasRoom(sizeBytes: number): boolean {
    return this.#bytes + sizeBytes <= this.#maxBytes;
  }

  async commit(message: QueuedMessage, content: Blob, schedule?: Schedule): Promise<void> {
    if (this.#closed) throw new PosternError("STORE_UNAVAILABLE", "the queue is closed");
    const { sizeBytes } = content;
    if (!this.hasRoom(sizeBytes)) throw new PosternError("STORE_FULL", "the queue in memory is full");
    this.#bytes += sizeBytes;
    try {
      const held = { message, content: await inMemory(content), settled: new Settlements(), schedule };
      this.#messages.set(message.id, held);
    } catch (cause) {
      this.#bytes -= sizeBytes;
      throw cause;
    }
  }

  async settle(id: string, outcomes: readonly Settlement[]): Promise<void> {
    this.#messages.get(id)?.settled.add(outcomes);
  }

  reschedule(id: string, schedule: Schedule): void {
    const held = this.#messages.get(id);
    if (held !== undefined) held.schedule = schedule;
  }

  async remove(id: string): Promise<void> {
    const held = this.#messages.get(id);
    if (held === undefined) return;
    this.#messages.delete(id);
    this.#bytes -= held.content.sizeBytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** A blob of a file is the caller's, who may let go of it after the commit. */
async function inMemory(content: Blob): Promise<Blob> {
  if (content.chunks !== undefined) return content;
  const chunks: Buffer[] = [];
  for await (const chunk of content.read()) chunks.push(chunk);
  return createMemoryBlob(chunks);
}
