/**
 * The quarantine: a store of its own, as durable as the queue's and in the same format, in a folder of its own. The folder is made with the
 * first message; one that is there is opened at the start, so that what has expired goes.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { ConfigError, PosternError } from "../errors.ts";
import { type Blob, openMessage } from "../message/index.ts";
import { type Clock, logText, type MaybePromise, type QueuedMessage } from "../model/index.ts";
import { createSegmentStore, type OpenReport, type QueueEntry, type QueueStore } from "../queue/index.ts";
import type { Deletion, QuarantineEvent } from "./events.ts";
import { Keeper } from "./keeper.ts";
import { describeEntry, type QuarantinedMessage } from "./listing.ts";
import { describeContent } from "./note.ts";
import { namedRecipients, releasedMessage } from "./released.ts";
import { type QuarantinePage, type QuarantineQuery, searchQuarantine } from "./search.ts";

export interface QuarantineOptions {
  readonly directory: string;
  /** In place of one in the folder. */
  readonly store?: QueueStore | undefined;
  readonly clock: Clock;
  readonly ids: () => string;
  /** From when it is put aside until it is deleted. */
  readonly lifetimeMs: number;
  /** Octets of contents in all; more is refused with `STORE_FULL`. */
  readonly maxSizeBytes: number;
  readonly minFreeBytes: number;
  readonly queue: {
    /** Is there a message of that id? */
    has(id: string): MaybePromise<boolean>;
    enqueue(message: QueuedMessage, content: Blob): Promise<void>;
  };
  /** Must not throw. */
  readonly tell: (event: QuarantineEvent) => void;
  readonly warn: (text: string) => void;
  /** Of what was found in the folder. */
  readonly opened: (report: OpenReport) => void;
}

export interface QuarantineStatus {
  readonly messages: number;
  readonly sizeBytes: number;
  /** Since the start, as all that follows. */
  readonly added: number;
  readonly released: number;
  readonly deleted: number;
  readonly expired: number;
}

const longestHeaders = 256 * 1024;
/** Of one piece of a content. */
const mostRead = 1024 * 1024;
const readAtOnce = 64;

export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #store: QueueStore;
  readonly #keeper: Keeper;
  readonly #counts = { added: 0, released: 0, deleted: 0, expired: 0 };
  /** Somebody is releasing or deleting it: until its store was told. */
  readonly #inHand = new Map<string, Promise<unknown>>();
  #bytes = 0;
  #opening: Promise<void> | undefined;
  #opened = false;
  #closed = false;

  constructor(options: QuarantineOptions) {
    const { clock, directory, minFreeBytes, warn } = options;
    this.#options = options;
    this.#store =
      options.store ??
      createSegmentStore({
        directory,
        key: "quarantine.directory",
        clock,
        minFreeBytes,
        // Nobody delivers from here at once.
        handOffBytes: 0,
        onError: ({ message }) => warn(logText(message)),
      });
    this.#keeper = new Keeper({
      clock,
      waiting: () => this.#store.waiting(),
      expire: (id) => this.#expire(id),
    });
  }

  /** Takes up what is there. Throws as the store's `open` does. */
  async start(): Promise<void> {
    const { directory, store } = this.#options;
    if (store !== undefined || existsSync(directory)) return this.#open();
    const parent = dirname(directory);
    if (!existsSync(parent))
      throw new ConfigError(`quarantine.directory ${directory} cannot be made: ${parent} does not exist`);
  }

  status(): QuarantineStatus {
    return { messages: this.#store.size, sizeBytes: this.#bytes, ...this.#counts };
  }

  /** Resolves when it is on stable storage. Rejects with `STORE_FULL` or `STORE_UNAVAILABLE`; then it is not here. */
  async add(message: QueuedMessage, content: Blob, reason: string): Promise<void> {
    await this.#open();
    const { clock, lifetimeMs, maxSizeBytes } = this.#options;
    const { sizeBytes } = content;
    const note = await describeContent(content, reason);
    if (this.#bytes + sizeBytes > maxSizeBytes) {
      throw new PosternError(
        "STORE_FULL",
        `the quarantine is full: ${this.#bytes} of ${maxSizeBytes} octets (quarantine.maxSize)`,
      );
    }
    const kept = { ...message, quarantine: note };
    const expiresAt = clock.now() + lifetimeMs;
    this.#bytes += sizeBytes;
    try {
      await this.#store.commit(kept, content, { attempts: 0, nextAttemptAt: expiresAt });
    } catch (error) {
      this.#bytes -= sizeBytes;
      // Its disk is not the queue's: the log is to say which.
      const code = error instanceof PosternError ? error.code : "STORE_UNAVAILABLE";
      throw new PosternError(code, `the quarantine takes no message: ${(error as Error).message}`, { cause: error });
    }
    this.#counts.added += 1;
    this.#keeper.expect(expiresAt);
    this.#options.tell({ kind: "putAside", message: kept, reason: note.reason });
  }

  /** Newest first. */
  search(query: QuarantineQuery): Promise<QuarantinePage> {
    return searchQuarantine(this.#store, query, this.#options.clock);
  }

  /** Throws `ConfigError` when it is not here. */
  async show(id: string): Promise<QuarantinedMessage> {
    const entry = await this.#find(id);
    const content = await this.#contentOf(id);
    const { body, raw } = await openMessage(content);
    const headerBytes = raw.sizeBytes - body.sizeBytes;
    const { sender, recipients } = entry.message.envelope;
    return {
      ...describeEntry(entry),
      envelope: { sender, recipients },
      origin: entry.message.origin,
      headers: (await octetsOf(raw, 0, Math.min(headerBytes, longestHeaders))).toString("latin1"),
      headersCut: headerBytes > longestHeaders,
    };
  }

  /** A part of the content, at most 1 MiB. Throws `ConfigError` when it is not here. */
  async read(
    id: string,
    from: number,
    length: number,
  ): Promise<{ readonly sizeBytes: number; readonly octets: Buffer }> {
    await this.#find(id);
    const content = await this.#contentOf(id);
    const octets = await octetsOf(content, from, from + Math.min(length, mostRead));
    return { sizeBytes: content.sizeBytes, octets };
  }

  /**
   * Into the queue, durably, and only then out of here: a crash in between leaves it in both. To its recipients, or to others. Gives its id
   * there. Throws `ConfigError` when it is not here, and as the queue does when that does not take it.
   */
  release(id: string, to?: readonly string[]): Promise<string> {
    return this.#take(id, async () => {
      const recipients = to && namedRecipients(to);
      const { message } = await this.#find(id);
      const content = await this.#contentOf(id);
      const { clock, ids, queue, tell } = this.#options;
      const queueId = (await queue.has(id)) ? ids() : id;
      const released = releasedMessage(message, { id: queueId, now: clock.now(), to: recipients });
      await queue.enqueue(released, content);
      this.#counts.released += 1;
      tell({ kind: "released", message: released, id });
      return { result: queueId, durable: this.#forget(id, content.sizeBytes) };
    });
  }

  /** For good. Throws `ConfigError` when it is not here. */
  delete(id: string): Promise<void> {
    return this.#take(id, () => this.#delete(id, "by the operator"));
  }

  /** It was put aside for some of its recipients, and then nobody took it for the others. */
  withdraw(id: string): Promise<void> {
    return this.#take(id, () => this.#delete(id, "not taken"));
  }

  /** Ends after what is being released or deleted. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening?.catch(() => undefined);
    await Promise.allSettled(this.#inHand.values());
    await this.#keeper.stop();
    if (this.#opened) await this.#store.close();
  }

  /** Again with the next message when it could not. */
  #open(): Promise<void> {
    if (this.#closed) return Promise.reject(closed());
    this.#opening ??= this.#openNow().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #openNow(): Promise<void> {
    const report = await this.#store.open();
    this.#opened = true;
    this.#bytes = await this.#count();
    this.#options.opened(report);
    this.#keeper.start();
  }

  /** Octets of all that is here; only large contents must be asked for. */
  async #count(): Promise<number> {
    let sum = 0;
    const unknown: string[] = [];
    for (const { id } of this.#store.waiting()) {
      const bytes = this.#store.contentBytes?.(id);
      if (bytes === undefined) unknown.push(id);
      else sum += bytes;
    }
    for (let at = 0; at < unknown.length; at += readAtOnce) {
      const sizes = await Promise.all(unknown.slice(at, at + readAtOnce).map((id) => this.#sizeOf(id)));
      for (const size of sizes) sum += size;
    }
    return sum;
  }

  async #sizeOf(id: string): Promise<number> {
    try {
      return (await this.#store.entry(id))?.message.sizeBytes ?? 0;
    } catch {
      return 0; // its record is damaged: who looks for it is told
    }
  }

  async #find(id: string): Promise<QueueEntry> {
    const entry = await this.#store.entry(id);
    if (entry === undefined) throw unknown(id);
    return entry;
  }

  async #contentOf(id: string): Promise<Blob> {
    const content = await this.#store.content(id);
    if (content === undefined) throw unknown(id);
    return content;
  }

  /** One at a time for each message: two releases would be two deliveries. */
  async #take<T>(id: string, act: () => Promise<Taken<T>>): Promise<T> {
    if (this.#closed) throw closed();
    if (this.#inHand.has(id)) throw new ConfigError(`message ${id.slice(0, 64)} is being released or deleted already`);
    const acting = act();
    this.#inHand.set(id, acting);
    try {
      const { result, durable } = await acting;
      await durable;
      return result;
    } finally {
      this.#inHand.delete(id);
    }
  }

  async #expire(id: string): Promise<void> {
    if (this.#inHand.has(id)) throw new Error("somebody has it in hand");
    await this.#take(id, () => this.#delete(id, "expired"));
  }

  async #delete(id: string, why: Deletion): Promise<Taken<void>> {
    const bytes = this.#store.contentBytes?.(id);
    let message: QueuedMessage | undefined;
    try {
      message = (await this.#find(id)).message;
    } catch (error) {
      // What cannot be read can be deleted all the same.
      if (!(error instanceof PosternError) || error.code !== "STORE_DAMAGED") throw error;
    }
    const forgotten = this.#forget(id, bytes ?? message?.sizeBytes ?? 0);
    const tell = (): void => {
      this.#counts[why === "expired" ? "expired" : "deleted"] += 1;
      this.#options.tell({ kind: "deleted", id, message, why });
    };
    if (why === "by the operator") return { result: undefined, durable: forgotten.then(tell) };
    // A disk that fails holds nobody up: what is not durable by the next start expires again.
    void forgotten.catch(() => undefined);
    tell();
    return { result: undefined, durable: undefined };
  }

  #forget(id: string, sizeBytes: number): Promise<void> {
    this.#bytes -= sizeBytes;
    return this.#store.remove(id);
  }
}

/** What was done in memory, and when it is on disk too; a store that is closed writes it first. */
interface Taken<T> {
  readonly result: T;
  readonly durable: Promise<void> | undefined;
}

function closed(): PosternError {
  return new PosternError("STORE_UNAVAILABLE", "the quarantine is closed");
}

async function octetsOf(content: Blob, from: number, to: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content.read(from, to)) pieces.push(piece);
  return Buffer.concat(pieces);
}

function unknown(id: string): ConfigError {
  return new ConfigError(`no message ${id.slice(0, 64)} is in the quarantine`);
}
