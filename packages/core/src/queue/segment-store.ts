/**
 * The default queue store: an append-only log in segments, group commit, large contents in files of their own.
 *
 *   DIRECTORY/lock           held while the process lives
 *   DIRECTORY/log/           segments (`segment-format.ts` says what is in them)
 *   DIRECTORY/spool/         ID.body, contents above `spoolAboveBytes` and those that came in a file; N.incoming, contents on their way in
 *   DIRECTORY/damaged/       what could not be read, kept aside
 *   DIRECTORY/reserve        room to be given back when the disk is full
 *   DIRECTORY/checkpoint     what a start need not read again (`checkpoint-format.ts`)
 */
import { randomInt } from "node:crypto";
import createDebug from "debug";
import { PosternError } from "../errors.ts";
import { type Blob, concatBlobs, createMemoryBlob, type SpoolFiles } from "../message/index.ts";
import type { Clock, MaybePromise, QueuedMessage } from "../model/index.ts";
import { AfterwardsAppend, MessageAppend, RemoveAppend, ScheduleAppend, SettledAppend } from "./appends.ts";
import { Checkpointing } from "./checkpointing.ts";
import { Compaction } from "./compaction.ts";
import type { FilePort, FileLock } from "./file-port.ts";
import { FreeSpace } from "./free-space.ts";
import { HandOff } from "./hand-off.ts";
import { nodeFilePort } from "./node-file-port.ts";
import { pendingNote, type Place, QueueIndex, type Segment } from "./queue-index.ts";
import { makeQueueFolders, type QueueFolders, queueFolders, takeFolderLock } from "./queue-folders.ts";
import { readBody, readMessage } from "./record-reader.ts";
import { SalvageFolder } from "./salvage-folder.ts";
import type { MessageHead } from "./segment-format.ts";
import { SegmentLog } from "./segment-log.ts";
import { Reserve } from "./reserve.ts";
import { replay } from "./segment-replay.ts";
import { ownNotes } from "./settled-notes.ts";
import { entryOf } from "./settlements.ts";
import { SpoolFolder } from "./spool-folder.ts";
import { tidySpool } from "./spool-tidying.ts";
import type { OpenReport, QueueEntry, QueueStore, Schedule, Settlement, WaitingMessage } from "./store.ts";
import { storeError } from "./store-error.ts";

const debug = createDebug("postern:queue");

export interface SegmentStoreOptions {
  /** Made (0700) if its parent exists. */
  readonly directory: string;
  /** What names the folder in sentences; `queue.directory`. */
  readonly key?: string;
  readonly clock: Clock;
  readonly port?: FilePort;
  /** For the salts of segments; numbers in [0, 1). */
  readonly random?: () => number;
  /** Room to be left on the disk; commits that would take it are refused with `STORE_FULL`. 64 MiB. */
  readonly minFreeBytes?: number;
  /** Room that is taken beforehand, for outcomes and removals on a full disk. An eighth of `minFreeBytes`, 8 MiB at most. */
  readonly reserveBytes?: number;
  /** Larger contents go to a file of their own. 4 MiB: what was held in memory as it came in is written once, into the log. */
  readonly spoolAboveBytes?: number;
  /** A new segment is begun when one is so large. 64 MiB. */
  readonly segmentBytes?: number;
  /** Memory for contents that were committed a moment ago. 32 MiB. */
  readonly handOffBytes?: number;
  /** Told of every failure of the disk, also of those that nobody waits for. */
  readonly onError?: (error: Error) => void;
}

export const segmentStoreDefaults = Object.freeze({
  minFreeBytes: 64 * 1024 * 1024,
  spoolAboveBytes: 4 * 1024 * 1024,
  segmentBytes: 64 * 1024 * 1024,
  handOffBytes: 32 * 1024 * 1024,
});

const maxReserveBytes = 8 * 1024 * 1024;

export function createSegmentStore(options: SegmentStoreOptions): QueueStore {
  return new SegmentStore(options);
}

/** What exists between `open` and `close`. */
interface Opened {
  readonly lock: FileLock;
  readonly index: QueueIndex;
  readonly log: SegmentLog;
  readonly segments: readonly Segment[];
  readonly compaction: Compaction;
  readonly checkpointing: Checkpointing;
  readonly reserve: Reserve;
}

/** Ids become file names. */
const soundId = /^[0-9A-Za-z_-]{1,64}$/;
/** Envelope and record header of an ordinary message, for the account of free space. */
const overheadBytes = 1024;

export class SegmentStore implements QueueStore {
  readonly #options: Required<SegmentStoreOptions>;
  readonly #folders: QueueFolders;
  readonly #spool: SpoolFolder;
  readonly #handOff: HandOff;
  readonly #space: FreeSpace;
  #opened: Opened | undefined;

  constructor(options: SegmentStoreOptions) {
    this.#options = {
      ...segmentStoreDefaults,
      port: nodeFilePort,
      key: "queue.directory",
      random: () => randomInt(2 ** 32) / 2 ** 32,
      onError: () => undefined,
      reserveBytes: Math.min(
        maxReserveBytes,
        Math.floor((options.minFreeBytes ?? segmentStoreDefaults.minFreeBytes) / 8),
      ),
      ...options,
    };
    const { clock, directory, handOffBytes, key, minFreeBytes, port } = this.#options;
    this.#folders = queueFolders(directory, key);
    this.#spool = new SpoolFolder(this.#folders.spool, port);
    this.#handOff = new HandOff(handOffBytes, clock);
    this.#space = new FreeSpace(() => port.free(directory), clock, minFreeBytes);
  }

  get incoming(): SpoolFiles {
    return this.#spool;
  }

  get size(): number {
    return this.#opened?.index.size ?? 0;
  }

  async open(): Promise<OpenReport> {
    const { port } = this.#options;
    await makeQueueFolders(this.#folders, port);
    const lock = takeFolderLock(this.#folders, port);
    try {
      return await this.#openLocked(lock);
    } catch (cause) {
      lock.release();
      throw storeError("be opened", cause);
    }
  }

  async #openLocked(lock: FileLock): Promise<OpenReport> {
    const { clock, port, random, segmentBytes } = this.#options;
    const salvage = new SalvageFolder(this.#folders.damaged, port);
    const {
      segments: old,
      index,
      damage,
      discards,
      lastNumber,
      checkpoint,
    } = await replay(this.#folders, port, salvage);
    const spoolDamage = await tidySpool(this.#folders.spool, port, index, damage.length > 0 ? salvage : undefined);
    const segments = [...old];
    const reserve = new Reserve({
      path: this.#folders.reserve,
      folder: this.#folders.root,
      port,
      clock,
      bytes: this.#options.reserveBytes,
      hasRoom: async (bytes) => {
        await this.#space.refresh();
        return this.#space.hasRoom(bytes);
      },
    });
    const folder = this.#folders.log;
    const onError = (error: Error) => this.#report(error);
    const log = new SegmentLog(lastNumber, old.at(-1)?.number ?? 0, discards, {
      folder,
      port,
      clock,
      random,
      segmentBytes,
      onError,
      makeRoom: async () => {
        const released = await reserve.release();
        await this.#space.refresh();
        return released;
      },
      onSegment: (segment) => {
        segments.push(segment);
        compaction.consider();
        checkpointing.consider();
      },
    });
    const checkpointing: Checkpointing = new Checkpointing({
      folders: this.#folders,
      port,
      index,
      segments,
      everyBytes: segmentBytes,
      hasRoom: (bytes) => this.#space.hasRoom(bytes),
      onError,
      last: checkpoint,
    });
    const compaction: Compaction = new Compaction({ folder, port, clock, index, log, segments, segmentBytes, onError });
    this.#opened = { lock, index, log, segments, compaction, checkpointing, reserve };
    await reserve.hold();
    await this.#space.refresh();
    compaction.consider();
    debug("opened %s: %d segments, %d messages", folder, segments.length, index.size);
    return { waiting: index.size, damage: [...damage, ...spoolDamage] };
  }

  waiting(): Iterable<WaitingMessage> {
    return this.#opened?.index.waiting() ?? [];
  }

  contentBytes(id: string): number | undefined {
    return this.#opened?.index.contentBytes(id);
  }

  entry(id: string): MaybePromise<QueueEntry | undefined> {
    if (this.#opened?.index.has(id) !== true) return undefined;
    const held = this.#handOff.get(id);
    if (held !== undefined) return entryOf(held.message, held.settled, held.schedule);
    return this.#read(id, async (at) => (await readMessage(at)).entry);
  }

  content(id: string): MaybePromise<Blob | undefined> {
    if (this.#opened?.index.has(id) !== true) return undefined;
    const held = this.#handOff.get(id);
    if (held !== undefined) return held.content;
    return this.#read(id, async (at) => {
      const inLog = createMemoryBlob(at.bodyBytes === 0 ? [] : [await readBody(at)]);
      if (!at.spooled) return inLog;
      const { spool } = await readMessage(at);
      return spool === undefined ? undefined : concatBlobs([inLog, this.#spool.read(spool)]);
    });
  }

  /** Again when compaction has moved the message while it was read. */
  async #read<T>(id: string, read: (place: Place) => Promise<T>): Promise<T | undefined> {
    for (;;) {
      const place = this.#opened?.index.get(id);
      if (place === undefined) return undefined;
      const { segment, offset } = place;
      place.held += 1;
      try {
        return await read(place);
      } catch (error) {
        if (place.segment === segment && place.offset === offset) throw error;
      } finally {
        place.held -= 1;
        this.#opened?.index.rest(id);
      }
    }
  }

  hasRoom(sizeBytes: number): boolean {
    return this.#space.hasRoom(this.#needed(sizeBytes));
  }

  commit(message: QueuedMessage, content: Blob, schedule?: Schedule): Promise<void> {
    if (this.#opened === undefined) return Promise.reject(closed());
    if (!soundId.test(message.id))
      return Promise.reject(storeError("take a message", new Error("its id is no file name")));
    const bytes = content.sizeBytes + overheadBytes;
    // The common case makes no promise of its own: in memory, and room.
    const head: MessageHead = schedule === undefined ? { message } : { message, schedule };
    if (!this.hasRoom(content.sizeBytes)) return this.#commitIfRoom(head, content, bytes);
    return this.#commit(head, content, bytes);
  }

  async #commitIfRoom(head: MessageHead, content: Blob, bytes: number): Promise<void> {
    await this.#space.refresh();
    if (!this.hasRoom(content.sizeBytes))
      throw new PosternError("STORE_FULL", `the disk of ${this.#folders.root} is nearly full`);
    return this.#commit(head, content, bytes);
  }

  /** What a message takes; the reserve comes before it. */
  #needed(sizeBytes: number): number {
    return sizeBytes + overheadBytes + (this.#opened?.reserve.missingBytes ?? 0);
  }

  #commit(head: MessageHead, content: Blob, bytes: number): Promise<void> {
    const { spoolAboveBytes } = this.#options;
    this.#space.take(bytes);
    const spooled = content.sizeBytes > spoolAboveBytes || content.tail !== undefined;
    const committed = spooled
      ? this.#commitSpooled(head, content)
      : content.chunks !== undefined
        ? this.#append(head, content)
        : inMemory(content).then((blob) => this.#append(head, blob));
    return committed.then(
      () => this.#space.release(bytes, true),
      (cause: unknown) => {
        this.#space.release(bytes, false);
        throw storeError("take a message", cause);
      },
    );
  }

  async #commitSpooled(head: MessageHead, content: Blob): Promise<void> {
    const { head: beginning, spool } = await this.#spool.keep(head.message.id, content);
    try {
      await this.#append({ ...head, spool }, createMemoryBlob(beginning));
    } catch (error) {
      // A crash before the log is written again may bring the record back; its content must be there then.
      this.#opened?.log.append(new AfterwardsAppend(() => void this.#spool.remove(spool.file)), false);
      throw error;
    }
  }

  /** `inLog`: the content, or with `spool` what stands before it. In memory. */
  #append(head: MessageHead, inLog: Blob): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) throw closed();
    const { message, spool, schedule } = head;
    const append = new MessageAppend(JSON.stringify(head), inLog.chunks ?? [], inLog.sizeBytes, (at) => {
      opened.index.put(message.id, {
        ...at,
        spooled: spool !== undefined,
        nextAttemptAt: schedule?.nextAttemptAt ?? 0,
      });
      // From our own file: another may be its giver's, who lets go of it after the commit.
      const whole = spool === undefined ? inLog : concatBlobs([inLog, this.#spool.read(spool)]);
      this.#handOff.put(message, whole, schedule);
    });
    opened.log.append(append, true);
    return append.promise;
  }

  settle(id: string, outcomes: readonly Settlement[]): Promise<void> {
    const opened = this.#opened;
    const place = opened?.index.get(id);
    if (opened === undefined || place === undefined || outcomes.length === 0) return Promise.resolve();
    this.#handOff.get(id)?.settled.add(outcomes);
    const note = pendingNote(outcomes);
    ownNotes(place).add(note);
    const append = new SettledAppend(id, place, note);
    opened.log.append(append, false);
    return append.promise;
  }

  reschedule(id: string, schedule: Schedule): void {
    const opened = this.#opened;
    const place = opened?.index.get(id);
    if (opened === undefined || place === undefined) return;
    const held = this.#handOff.get(id);
    if (held !== undefined) held.schedule = schedule;
    place.nextAttemptAt = schedule.nextAttemptAt;
    const note = pendingNote(schedule);
    ScheduleAppend.note(place, note);
    opened.log.append(new ScheduleAppend(opened.index, id, note), false);
  }

  remove(id: string): Promise<void> {
    const opened = this.#opened;
    const place = opened?.index.leave(id);
    if (opened === undefined || place === undefined) return Promise.resolve();
    this.#handOff.delete(id);
    const append = new RemoveAppend(id, () => {
      opened.index.removed(id);
      // Only now: until then a crash brings the message back, and it must be whole.
      if (place.spooled) void this.#spool.remove(`${id}.body`);
      opened.compaction.consider();
    });
    place.removal = append;
    opened.log.append(append, false);
    return append.promise;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    await opened.compaction.stop();
    await opened.log.flush();
    await opened.checkpointing.finish();
    await opened.reserve.close();
    this.#opened = undefined;
    await opened.log.close();
    await Promise.all(opened.segments.map(({ file }) => file.close()));
    opened.lock.release();
  }

  /** Writes the whole queue anew, without what cannot be read. For salvage, before the store is closed. */
  async rewrite(): Promise<void> {
    if (this.#opened === undefined) throw closed();
    const { compaction, log } = this.#opened;
    await log.flush();
    await compaction.stop();
    await compaction.rewrite();
  }

  #report(error: Error): void {
    debug("%s", error.message);
    this.#options.onError(error);
  }
}

async function inMemory(content: Blob): Promise<Blob> {
  const chunks: Buffer[] = [];
  for await (const chunk of content.read()) chunks.push(chunk);
  return createMemoryBlob(chunks);
}

function closed(): PosternError {
  return new PosternError("STORE_UNAVAILABLE", "the queue is not open");
}
