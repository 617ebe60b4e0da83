/**
 * Takes in a message as it arrives: in memory up to a threshold and as long as all messages together have room there, beyond it
 * in a file. Bounded by a maximum size and by back-pressure. It makes nothing durable: the queue does.
 */
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { createSpoolBlob } from "./file-blob.ts";
import { BlankLineSearch } from "./header-section.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { defaultMaxHeaderBytes } from "./parsed-message.ts";
import type { SpoolFiles } from "./spool-file.ts";
import { SpoolWriter } from "./spool-writer.ts";

export interface SpoolerOptions {
  /** Where large messages go. */
  readonly files: SpoolFiles;
  /** Octets of one message held in memory before a file is used. 2 MiB. */
  readonly thresholdBytes?: number;
  /** Octets of all messages held in memory; when there are so many, only small messages are. 32 MiB. */
  readonly memoryBytes?: number;
  /** Octets at which a message is too large. */
  readonly maxSizeBytes: number;
  /** Octets of a spooled message's header section held in memory all the same. 1 MiB. */
  readonly maxHeaderBytes?: number;
  /** Told of octets that come, and of those that went to a file. */
  readonly watch?: SpoolWatch | undefined;
}

export interface SpoolWatch {
  received(bytes: number): void;
  spilled(bytes: number): void;
}

/** One message being taken in. One `write` at a time: wait for its promise, if it is one, before the next. */
export interface Spool {
  /** Octets written so far, those beyond the maximum included. */
  readonly sizeBytes: number;
  /** More than `maxSizeBytes` came; what there was has been let go. */
  readonly overflowed: boolean;
  /**
   * Keeps `chunk`, which nobody may write to any more. A promise asks to wait: the disk is behind. `false`: nothing is kept
   * any more, because of the size or of an error, and `end` will say which. Never throws or rejects.
   */
  write(chunk: Buffer): MaybePromise<boolean>;
  /**
   * The content; `undefined` when it overflowed. Throws or rejects with STORE_FULL or STORE_UNAVAILABLE. A blob of a file has
   * its header section in `head`, and can be read until `dispose`.
   */
  end(): MaybePromise<Blob | undefined>;
  /** Lets go of memory and file, at any time, however often. Never rejects. */
  dispose(): MaybePromise<void>;
}

export interface Spooler {
  open(): Spool;
}

const defaultThresholdBytes = 2 * 1024 * 1024;
const defaultMemoryBytes = 32 * 1024 * 1024;
/** Messages up to this size are held in memory whatever others hold. */
const smallMessageBytes = 64 * 1024;
/** What may wait for the disk before the writer is asked to wait. */
const maxPendingBytes = 256 * 1024;
/** Chunks smaller than this are put together: a message that comes octet by octet must not cost an object each. */
const smallChunkBytes = 1024;
const gatheredBytes = 16 * 1024;

export function createSpooler(options: SpoolerOptions): Spooler {
  const budget = new MemoryBudget(options.memoryBytes ?? defaultMemoryBytes);
  return Object.freeze({ open: () => new MessageSpool(options, budget) });
}

class MessageSpool implements Spool {
  sizeBytes = 0;
  overflowed = false;
  readonly #options: SpoolerOptions;
  readonly #budget: MemoryBudget;
  readonly #thresholdBytes: number;
  /** Taken from the budget. */
  #heldBytes = 0;
  /** In memory, or waiting for the disk. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Small chunks at the end of `#pending`, not yet put together. */
  #small: Buffer[] = [];
  #smallBytes = 0;
  #file: SpoolWriter | undefined;
  #head: Head | undefined;
  #disposed = false;

  constructor(options: SpoolerOptions, budget: MemoryBudget) {
    this.#options = options;
    this.#budget = budget;
    this.#thresholdBytes = options.thresholdBytes ?? defaultThresholdBytes;
  }

  write(chunk: Buffer): MaybePromise<boolean> {
    this.sizeBytes += chunk.length;
    this.#options.watch?.received(chunk.length);
    if (this.overflowed || this.#disposed || this.#file?.error !== undefined) return false;
    if (this.sizeBytes > this.#options.maxSizeBytes) {
      this.overflowed = true;
      void this.#letGo();
      return false;
    }
    this.#keep(chunk);
    if (this.#file === undefined && this.#fitsInMemory(chunk.length)) return true;
    if (this.#pendingBytes < maxPendingBytes && this.#file !== undefined) return true;
    return this.#spill();
  }

  end(): MaybePromise<Blob | undefined> {
    if (this.overflowed || this.#disposed) return undefined;
    if (this.#file !== undefined) return this.#endFile(this.#file);
    this.#gather();
    return createMemoryBlob(this.#pending);
  }

  dispose(): MaybePromise<void> {
    this.#disposed = true;
    return this.#letGo();
  }

  #fitsInMemory(chunkBytes: number): boolean {
    if (this.sizeBytes > this.#thresholdBytes) return false;
    if (this.sizeBytes > smallMessageBytes && this.#budget.leftBytes < chunkBytes) return false;
    this.#heldBytes += chunkBytes;
    this.#budget.take(chunkBytes);
    return true;
  }

  #giveBack(): void {
    this.#budget.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #keep(chunk: Buffer): void {
    this.#pendingBytes += chunk.length;
    if (chunk.length < smallChunkBytes) {
      this.#small.push(chunk);
      this.#smallBytes += chunk.length;
      if (this.#smallBytes >= gatheredBytes || this.#small.length >= smallChunkBytes) this.#gather();
    } else {
      this.#gather();
      this.#pending.push(chunk);
    }
  }

  #gather(): void {
    const [first] = this.#small;
    if (first === undefined) return;
    this.#pending.push(this.#small.length === 1 ? first : Buffer.concat(this.#small, this.#smallBytes));
    this.#small = [];
    this.#smallBytes = 0;
  }

  /** Hands everything to the file. */
  async #spill(): Promise<boolean> {
    this.#gather();
    const chunks = this.#pending;
    const bytes = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#head ??= new Head(this.#options.maxHeaderBytes ?? defaultMaxHeaderBytes);
    for (const chunk of chunks) this.#head.push(chunk);
    this.#file ??= new SpoolWriter(this.#options.files);
    await this.#file.append(chunks);
    this.#giveBack();
    this.#options.watch?.spilled(bytes);
    return this.#file.error === undefined && !this.#disposed;
  }

  async #endFile(writer: SpoolWriter): Promise<Blob | undefined> {
    await this.#spill();
    if (writer.error !== undefined) throw writer.error;
    if (writer.file === undefined || this.#disposed) return undefined;
    const { chunks, sizeBytes } = this.#head ?? { chunks: [], sizeBytes: 0 };
    const rest = createSpoolBlob(writer.file, this.sizeBytes - sizeBytes, sizeBytes);
    return concatBlobs([createMemoryBlob(chunks), rest]);
  }

  #letGo(): MaybePromise<void> {
    this.#pending = [];
    this.#small = [];
    this.#head = undefined;
    this.#giveBack();
    return this.#file?.close();
  }
}

/** The leading chunks up to the end of the header section, or to its limit. */
class Head {
  readonly chunks: Buffer[] = [];
  sizeBytes = 0;
  readonly #maxBytes: number;
  readonly #search = new BlankLineSearch();
  #complete = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    if (this.#complete) return;
    this.chunks.push(chunk);
    this.sizeBytes += chunk.length;
    this.#complete = this.#search.push(chunk) !== undefined || this.sizeBytes >= this.#maxBytes;
  }
}
