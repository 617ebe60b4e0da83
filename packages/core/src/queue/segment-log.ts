/**
 * The appending end of the log: group commit. One batch is under way, written with one call and made durable with one fdatasync;
 * what is asked meanwhile makes the next batch.
 *
 * A failure closes the segment: nobody knows what of it is on disk, and a second fdatasync on it would tell a lie. Whoever waited
 * hears of it, what must not be lost is said again in the next segment, and that one begins by discarding the failed one's end.
 */
import type { Clock, Timer } from "../model/index.ts";
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";
import type { Segment } from "./queue-index.ts";
import {
  type DiscardHead,
  encodeRecord,
  encodeSegmentHeader,
  nameSegment,
  type RecordPosition,
  recordKinds,
  segmentHeaderBytes,
} from "./segment-format.ts";
import { storeError } from "./store-error.ts";

/** Something to be said in the log. */
export interface Append {
  /** Octets, roughly: batches are cut by it. */
  readonly sizeBytes: number;
  /** It is in the batch that is written next; told to all of that batch before any of them is asked for its record. */
  take?(): void;
  /** The record, head first; asked in the order of the log, again after a failure. `undefined`: there is nothing to say any more. */
  encode(at: RecordPosition): readonly Buffer[] | undefined;
  /** On stable storage; `undefined` when there was nothing to say. */
  durable(segment: Segment | undefined, offset: number): void;
  /** True to be tried again in the next segment; `final` when there is none. */
  failed(error: Error, final: boolean): boolean;
}

export interface SegmentLogOptions {
  readonly folder: string;
  readonly port: FilePort;
  readonly clock: Clock;
  readonly random: () => number;
  /** A new segment is begun when one is so large. */
  readonly segmentBytes: number;
  /** A segment has been begun; in order. */
  readonly onSegment: (segment: Segment) => void;
  readonly onError: (error: Error) => void;
  /** The disk is full: true when there is more room now than there was. */
  readonly makeRoom: () => Promise<boolean>;
}

const maxBatchBytes = 8 * 1024 * 1024;
const maxBatchAppends = 2000;
/** How long something that nobody waits for waits for company. */
const lingerMs = 10;
/** After a failure, for what is tried again without a new commit. */
const retryMs = 1000;

export class SegmentLog {
  readonly #options: SegmentLogOptions;
  #queue: Append[] = [];
  #current: Segment | undefined;
  #lastNumber: number;
  /** The newest segment that is part of the log. */
  #previous: number;
  #running: Promise<void> | undefined;
  #failed = false;
  #timer: Timer | undefined;
  /** Ends of segments that nobody may believe. */
  #discards: DiscardHead[] = [];

  /** Appends go to a new segment with a number above `lastNumber`; `previous` is the newest that is there. */
  constructor(lastNumber: number, previous: number, discards: readonly DiscardHead[], options: SegmentLogOptions) {
    this.#lastNumber = lastNumber;
    this.#previous = previous;
    this.#discards = [...discards];
    this.#options = options;
  }

  get current(): Segment | undefined {
    return this.#current;
  }

  /** Without `urgent` it may wait some milliseconds for company. */
  append(append: Append, urgent: boolean): void {
    this.#queue.push(append);
    if (this.#running !== undefined) return;
    if (urgent) this.#run();
    else this.#timer ??= this.#options.clock.setTimer(() => this.#run(), lingerMs);
  }

  /** Waits until nothing is left to write, or until writing fails. */
  async flush(): Promise<void> {
    this.#failed = false;
    while (this.#queue.length > 0 || this.#running !== undefined) {
      if (this.#running === undefined) this.#run();
      await this.#running;
      if (this.#failed) return;
    }
  }

  async close(): Promise<void> {
    await this.flush();
    this.#timer?.cancel();
    const error = storeError("keep what it knows", new Error("it was closed"));
    for (const append of this.#queue) append.failed(error, true);
    this.#queue = [];
    this.#current = undefined;
  }

  #run(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running = this.#drain().finally(() => {
      this.#running = undefined;
      if (this.#queue.length === 0) return;
      if (this.#failed) this.#timer ??= this.#options.clock.setTimer(() => this.#run(), retryMs);
      else this.#run();
    });
  }

  async #drain(): Promise<void> {
    // Whatever else arrives in this turn of the event loop joins the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#write(batch);
        this.#failed = false;
      } catch (cause) {
        const error = storeError("be written", cause);
        this.#options.onError(error);
        this.#failed = true;
        const hasRoom = error.code === "STORE_FULL" && (await this.#options.makeRoom());
        const arrived = this.#queue;
        this.#queue = [...batch.filter((append) => append.failed(error, false)), ...arrived];
        // What came meanwhile deserves its own try; the rest waits, but for room.
        if (arrived.length === 0 && !hasRoom) return;
      }
    }
  }

  #takeBatch(): Append[] {
    let bytes = 0;
    let count = 0;
    for (const append of this.#queue) {
      append.take?.();
      bytes += append.sizeBytes;
      count += 1;
      if (bytes >= maxBatchBytes || count === maxBatchAppends) break;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  async #write(batch: readonly Append[]): Promise<void> {
    const known = this.#current;
    if (known !== undefined && known.size < this.#options.segmentBytes)
      return this.#writeTo(known, batch, [], known.size);
    const fresh = await this.#begin();
    const { header, segment } = fresh;
    const discards = this.#discards;
    try {
      const begin = [header];
      let size = header.length;
      for (const discard of discards) {
        const at = { salt: segment.salt, offset: size };
        const record = encodeRecord(recordKinds.discard, at, JSON.stringify(discard));
        begin.push(record);
        size += record.length;
      }
      await this.#writeTo(segment, batch, begin, size, async () => {
        await this.#options.port.syncFolder(this.#options.folder);
        this.#discards = this.#discards.slice(discards.length);
        this.#current = segment;
        this.#previous = segment.number;
        this.#options.onSegment(segment);
      });
    } catch (error) {
      if (this.#current !== segment) await this.#abandon(segment);
      throw error;
    }
  }

  async #writeTo(
    segment: Segment,
    batch: readonly Append[],
    begin: readonly Buffer[],
    start: number,
    beforeDurable?: () => Promise<void>,
  ): Promise<void> {
    const chunks = [...begin];
    const offsets: number[] = [];
    let end = start;
    for (const append of batch) {
      const record = append.encode({ salt: segment.salt, offset: end });
      offsets.push(record === undefined ? -1 : end);
      if (record === undefined) continue;
      for (const chunk of record) {
        chunks.push(chunk);
        end += chunk.length;
      }
    }
    if (chunks.length > 0) {
      try {
        await writeAll(segment.file, chunks, begin.length > 0 ? 0 : start);
        await segment.file.sync();
        await beforeDurable?.();
      } catch (error) {
        await this.#closeFailed(segment);
        throw error;
      }
      segment.size = end;
    }
    for (const [at, append] of batch.entries()) {
      const offset = offsets[at] as number;
      append.durable(offset < 0 ? undefined : segment, offset);
    }
  }

  async #begin(): Promise<{ segment: Segment; header: Buffer }> {
    const { folder, port, random } = this.#options;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    const salt = Math.floor(random() * 2 ** 32);
    const path = `${folder}/${nameSegment(number, salt)}`;
    const file: PortFile = await port.open(path, "create");
    const segment = { number, salt, path, file, size: segmentHeaderBytes, liveBytes: 0, liveMessages: 0 };
    return { segment, header: encodeSegmentHeader({ salt, number, previous: this.#previous }) };
  }

  /** Nothing is appended to it any more; what is durable in it stays readable. */
  async #closeFailed(segment: Segment): Promise<void> {
    if (this.#current !== segment) return;
    this.#current = undefined;
    this.#discards.push({ segment: segment.number, from: segment.size });
    // Only to give room back on a full disk, and to spare a reader the sight. The discard record is what counts.
    await segment.file.truncate(segment.size).catch(() => undefined);
  }

  /** A segment that never became part of the log. */
  async #abandon(segment: Segment): Promise<void> {
    this.#discards.push({ segment: segment.number, from: 0 });
    try {
      await this.#options.port.unlink(segment.path);
    } catch {
      // It stays, and must go before the segment that discards it does.
      this.#options.onSegment(segment);
      return;
    }
    await segment.file.close().catch(() => undefined);
  }
}
