/**
 * Takes in a message as it arrives: in memory up to a threshold, beyond it in a file without a name, so that nothing is left
 * behind whatever ends the process. Bounded by a maximum size and by back-pressure. It makes nothing durable: the queue does.
 */
import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { PosternError } from "../errors.ts";
import type { MaybePromise } from "../model/maybe-promise.ts";
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { createFileBlob } from "./file-blob.ts";
import { BlankLineSearch } from "./header-section.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { defaultMaxHeaderBytes } from "./parsed-message.ts";

export interface SpoolerOptions {
  /** Where large messages go; a folder that only we may read. */
  readonly directory: string;
  /** Octets held in memory before a file is used. 256 KiB. */
  readonly thresholdBytes?: number;
  /** Octets at which a message is too large. */
  readonly maxSizeBytes: number;
  /** Octets of a spooled message's header section held in memory all the same. 1 MiB. */
  readonly maxHeaderBytes?: number;
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

const defaultThresholdBytes = 256 * 1024;
/** What may wait for the disk before the writer is asked to wait. */
const maxPendingBytes = 256 * 1024;
/** Chunks smaller than this are put together: a message that comes octet by octet must not cost an object each. */
const smallChunkBytes = 1024;
const gatheredBytes = 16 * 1024;

export function createSpooler(options: SpoolerOptions): Spooler {
  return Object.freeze({ open: () => new MessageSpool(options) });
}

class MessageSpool implements Spool {
  sizeBytes = 0;
  overflowed = false;
  readonly #options: SpoolerOptions;
  readonly #thresholdBytes: number;
  /** In memory, or waiting for the disk. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Small chunks at the end of `#pending`, not yet put together. */
  #small: Buffer[] = [];
  #smallBytes = 0;
  #file: SpoolFile | undefined;
  #head: Head | undefined;
  #disposed = false;

  constructor(options: SpoolerOptions) {
    this.#options = options;
    this.#thresholdBytes = options.thresholdBytes ?? defaultThresholdBytes;
  }

  write(chunk: Buffer): MaybePromise<boolean> {
    this.sizeBytes += chunk.length;
    if (this.overflowed || this.#disposed || this.#file?.error !== undefined) return false;
    if (this.sizeBytes > this.#options.maxSizeBytes) {
      this.overflowed = true;
      void this.#letGo();
      return false;
    }
    this.#keep(chunk);
    if (this.#file === undefined && this.sizeBytes <= this.#thresholdBytes) return true;
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
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#head ??= new Head(this.#options.maxHeaderBytes ?? defaultMaxHeaderBytes);
    for (const chunk of chunks) this.#head.push(chunk);
    this.#file ??= new SpoolFile(this.#options.directory);
    await this.#file.append(chunks);
    return this.#file.error === undefined && !this.#disposed;
  }

  async #endFile(file: SpoolFile): Promise<Blob | undefined> {
    await this.#spill();
    if (file.error !== undefined) throw file.error;
    if (file.handle === undefined || this.#disposed) return undefined;
    const { chunks, sizeBytes } = this.#head ?? { chunks: [], sizeBytes: 0 };
    const rest = createFileBlob(file.handle, this.sizeBytes - sizeBytes, sizeBytes);
    return concatBlobs([createMemoryBlob(chunks), rest]);
  }

  #letGo(): MaybePromise<void> {
    this.#pending = [];
    this.#small = [];
    this.#head = undefined;
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

/** The file beneath a spool: opened with the first octets, its name taken away at once. */
class SpoolFile {
  handle: FileHandle | undefined;
  error: PosternError | undefined;
  readonly #directory: string;
  #position = 0;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Resolves when the octets are with the system; a failure is in `error`. */
  append(chunks: readonly Buffer[]): Promise<void> {
    return this.#then(async () => {
      if (this.#closed || this.error !== undefined) return;
      this.handle ??= await openNameless(this.#directory);
      await this.#writeAll(this.handle, chunks);
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#then(async () => {
      const { handle } = this;
      this.handle = undefined;
      await handle?.close();
    });
  }

  async #writeAll(handle: FileHandle, chunks: readonly Buffer[]): Promise<void> {
    let rest = chunks;
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, this.#position);
      this.#position += bytesWritten;
      rest = withoutLeading(rest, bytesWritten);
    }
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((cause: unknown) => {
      this.error ??= spoolError(cause);
    });
    return this.#work;
  }
}

/** A write may be short; an empty one on a full disk comes back as an error the next time. */
function withoutLeading(chunks: readonly Buffer[], octets: number): readonly Buffer[] {
  let skipped = 0;
  let at = 0;
  for (; at < chunks.length; at++) {
    const length = chunks[at]?.length ?? 0;
    if (skipped + length > octets) break;
    skipped += length;
  }
  const first = chunks[at];
  return first === undefined ? [] : [first.subarray(octets - skipped), ...chunks.slice(at + 1)];
}

async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, `incoming-${randomUUID()}`);
  const handle = await open(path, "wx+", 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

function spoolError(cause: unknown): PosternError {
  const code = (cause as NodeJS.ErrnoException).code;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new PosternError(
    full ? "STORE_FULL" : "STORE_UNAVAILABLE",
    `cannot spool a message: ${(cause as Error).message}`,
    {
      cause,
    },
  );
}
