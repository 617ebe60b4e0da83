/**
 * Writes checkpoints, so that a start reads one file and the log's end instead of the whole log. A checkpoint is a help and no more: the
 * log alone says everything, and whatever is wrong with a checkpoint, the log is read instead.
 *
 * It is written while the store works: it covers the log up to a place taken at the beginning, and what changes meanwhile is in
 * the log behind that place. Reading that again over a message that knows it already changes nothing.
 */
import {
  blockKinds,
  encodeBlock,
  encodeCheckpointHeader,
  encodeListedSegments,
  encodeMessage,
  type ListedSegment,
  sizeOfMessage,
} from "./checkpoint-format.ts";
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";
import type { QueueFolders } from "./queue-folders.ts";
import type { LogPosition, Place, QueueIndex, Segment } from "./queue-index.ts";
import { isCode, storeError } from "./store-error.ts";

export interface CheckpointingOptions {
  readonly folders: QueueFolders;
  readonly port: FilePort;
  readonly index: QueueIndex;
  /** Of the log, in order. */
  readonly segments: readonly Segment[];
  /** The log grows by that much between two checkpoints, at least. */
  readonly everyBytes: number;
  /** Is there room for a file of that size? */
  readonly hasRoom: (bytes: number) => boolean;
  readonly onError: (error: Error) => void;
  /** What the last one covers, and its size; nothing when there is none. */
  readonly last: { readonly covered: LogPosition; readonly sizeBytes: number } | undefined;
}

/** The log grows by so many times a checkpoint's size before the next: what they cost is a part of what the mail costs. */
const growthPerCheckpoint = 8;
/** A log that has grown by less is not worth one when the store is closed. */
const closingBytes = 1024 * 1024;
const pieceBytes = 256 * 1024;
const bytesPerMessage = 64;

export class Checkpointing {
  readonly #options: CheckpointingOptions;
  #covered: LogPosition;
  #sizeBytes: number;
  #running: Promise<void> | undefined;

  constructor(options: CheckpointingOptions) {
    this.#options = options;
    this.#covered = options.last?.covered ?? { segment: 0, offset: 0 };
    this.#sizeBytes = options.last?.sizeBytes ?? 0;
  }

  /** To be called whenever a segment was begun. */
  consider(): void {
    const { everyBytes } = this.#options;
    if (this.#growth() >= Math.max(everyBytes, growthPerCheckpoint * this.#sizeBytes)) void this.#start();
  }

  /** Before the store is closed, when nothing is asked of it any more. */
  async finish(): Promise<void> {
    await this.#running;
    if (this.#growth() >= Math.min(this.#options.everyBytes, closingBytes)) await this.#start();
  }

  /** Octets of the log that a start would have to read. */
  #growth(): number {
    const { segment: last, offset } = this.#covered;
    let bytes = 0;
    for (const { number, size } of this.#options.segments) {
      if (number > last) bytes += size;
      else if (number === last) bytes += size - offset;
    }
    return bytes;
  }

  #start(): Promise<void> {
    this.#running ??= this.#write()
      .catch((error: unknown) => this.#options.onError(storeError("write its checkpoint", error)))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #write(): Promise<void> {
    const { folders, hasRoom, index, port, segments } = this.#options;
    if (!hasRoom(index.size * bytesPerMessage)) return;
    const last = segments.at(-1);
    if (last === undefined) return;
    // Taken in one moment: whatever is durable before it has come to the index.
    const covered = { segment: last.number, offset: last.size };
    const listed = segments.map(({ number, salt, size }) => ({ number, salt, size }));
    await unlinkIfThere(port, folders.newCheckpoint);
    const file = await port.open(folders.newCheckpoint, "create");
    let sizeBytes: number;
    try {
      sizeBytes = await writeCheckpoint(file, covered, listed, index);
      await file.sync();
    } catch (error) {
      await unlinkIfThere(port, folders.newCheckpoint).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    await port.rename(folders.newCheckpoint, folders.checkpoint);
    await port.syncFolder(folders.root);
    this.#covered = covered;
    this.#sizeBytes = sizeBytes;
  }
}

/** Octets written. */
export async function writeCheckpoint(
  file: PortFile,
  covered: LogPosition,
  listed: readonly ListedSegment[],
  index: { all(): Iterable<readonly [id: string, place: Place]> },
): Promise<number> {
  const header = encodeCheckpointHeader(covered);
  let crc = header.readUInt32LE(28);
  let at = 0;
  const write = async (octets: Buffer) => {
    await writeAll(file, [octets], at);
    at += octets.length;
  };
  const writeBlock = (kind: number, payload: Buffer) => {
    const block = encodeBlock(kind, payload, crc);
    crc = block.crc;
    return write(block.octets);
  };
  await write(header);
  await writeBlock(blockKinds.segments, encodeListedSegments(listed));
  let payload = Buffer.allocUnsafeSlow(pieceBytes);
  let filled = 0;
  let messages = 0;
  for (const [id, place] of index.all()) {
    const length = sizeOfMessage(id, place);
    if (filled + length > payload.length) {
      await writeBlock(blockKinds.messages, payload.subarray(0, filled));
      filled = 0;
      if (length > payload.length) payload = Buffer.allocUnsafeSlow(length);
    }
    filled = encodeMessage(payload, filled, id, place);
    messages += 1;
  }
  if (filled > 0) await writeBlock(blockKinds.messages, payload.subarray(0, filled));
  const end = Buffer.alloc(4);
  end.writeUInt32LE(messages);
  await writeBlock(blockKinds.end, end);
  return at;
}

async function unlinkIfThere(port: FilePort, path: string): Promise<void> {
  await port.unlink(path).catch((error: unknown) => {
    if (!isCode(error, "ENOENT")) throw error;
  });
}
