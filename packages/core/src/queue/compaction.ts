/**
 * Keeps the log from growing: segments go from the oldest on, never out of turn, because a later one may hold the end of an earlier
 * one's messages. One whose messages are all gone is unlinked; when most of the log is dead, what lives in the oldest is said
 * again at the end of the log, and then it goes too.
 */
import {
  encodeRecord,
  type MessageHead,
  recordHeaderBytes,
  recordKinds,
  type RecordPosition,
  segmentHeaderBytes,
} from "./segment-format.ts";
import type { Clock } from "../model/index.ts";
import type { FilePort } from "./file-port.ts";
import type { Place, QueueIndex, Segment } from "./queue-index.ts";
import { readBody, readMessage } from "./record-reader.ts";
import type { Append, SegmentLog } from "./segment-log.ts";
import { isCode } from "./store-error.ts";
import { scanSegment } from "./segment-scan.ts";

export interface CompactionOptions {
  readonly folder: string;
  readonly port: FilePort;
  readonly clock: Pick<Clock, "monotonic">;
  readonly index: QueueIndex;
  readonly log: SegmentLog;
  /** Oldest first; compaction takes from the front, the log adds at the end. */
  readonly segments: Segment[];
  readonly segmentBytes: number;
  readonly onError: (error: Error) => void;
}

/** The same again at once would fail the same way. */
const afterFailureMs = 60_000;
/** Messages copied at a time. */
const copiesAtOnce = 32;

export class Compaction {
  readonly #options: CompactionOptions;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Monotonic; after a failure. */
  #notBefore = -Infinity;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Cheap: to be called whenever something was removed or a segment begun. */
  consider(): void {
    if (this.#running !== undefined || this.#stopped || !this.#isDue()) return;
    if (this.#options.clock.monotonic() < this.#notBefore) return;
    this.#running = this.#run()
      .catch((error: unknown) => {
        this.#notBefore = this.#options.clock.monotonic() + afterFailureMs;
        this.#options.onError(error as Error);
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Ends after what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Says all that lives again in new segments, and takes away those that are there now. After `stop`. */
  async rewrite(): Promise<void> {
    const last = this.#options.segments.at(-1)?.number ?? 0;
    this.#stopped = false;
    try {
      for (let oldest = this.#oldest; oldest !== undefined && oldest.number <= last; oldest = this.#oldest) {
        await this.#copyLive(oldest);
        if (oldest.liveMessages > 0) throw new Error(`${oldest.path} holds messages that cannot be copied`);
        await this.#unlink(oldest);
      }
    } finally {
      this.#stopped = true;
    }
  }

  #isDue(): boolean {
    const oldest = this.#oldest;
    return oldest !== undefined && (oldest.liveMessages === 0 || this.#isMostlyDead());
  }

  /** The oldest segment that nothing is appended to any more. */
  get #oldest(): Segment | undefined {
    const [first] = this.#options.segments;
    return first === this.#options.log.current ? undefined : first;
  }

  #isMostlyDead(): boolean {
    let total = 0;
    let live = 0;
    for (const segment of this.#options.segments) {
      total += segment.size;
      live += segment.liveBytes;
    }
    return total > 2 * live + 2 * this.#options.segmentBytes;
  }

  async #run(): Promise<void> {
    for (let oldest = this.#oldest; oldest !== undefined && !this.#stopped; oldest = this.#oldest) {
      if (oldest.liveMessages > 0) {
        if (!this.#isMostlyDead()) return;
        await this.#copyLive(oldest);
        if (oldest.liveMessages > 0) throw new Error(`${oldest.path} holds messages that cannot be copied`);
      }
      await this.#unlink(oldest);
    }
  }

  async #unlink(segment: Segment): Promise<void> {
    const { folder, port, segments } = this.#options;
    await port.unlink(segment.path).catch((error: unknown) => {
      // Gone already, when the folder sync failed the last time.
      if (!isCode(error, "ENOENT")) throw error;
    });
    // Before the next: its remove records may speak of this one's messages.
    await port.syncFolder(folder);
    segments.shift();
    this.#options.index.forget(segment);
    await segment.file.close();
  }

  async #copyLive(segment: Segment): Promise<void> {
    const { index } = this.#options;
    const live: { id: string; offset: number }[] = [];
    await scanSegment(segment.file, segment.salt, segmentHeaderBytes, ({ offset, header, head }) => {
      if (header.kind !== recordKinds.message) return;
      const { id } = (JSON.parse(head.toString()) as MessageHead).message;
      live.push({ id, offset });
    });
    for (let at = 0; at < live.length && !this.#stopped; at += copiesAtOnce) {
      const some = live.slice(at, at + copiesAtOnce);
      await Promise.all(
        some.map(async ({ id, offset }) => {
          // Again when more was said of it while it was read.
          for (let copied = false; !copied;) {
            const place = index.get(id);
            if (place?.segment !== segment || place.offset !== offset) return;
            place.held += 1;
            try {
              copied = await this.#copy(id, place);
            } finally {
              place.held -= 1;
            }
          }
        }),
      );
    }
  }

  async #copy(id: string, place: Place): Promise<boolean> {
    const { index, log } = this.#options;
    const { settled, schedule } = place;
    const known = { settled, said: settled.said, schedule };
    const [{ entry, spool }, body] = await Promise.all([
      readMessage(place),
      place.bodyBytes > 0 ? readBody(place) : undefined,
    ]);
    const head: MessageHead = {
      message: entry.message,
      ...(spool === undefined ? {} : { spool }),
      ...(entry.settled.length === 0 ? {} : { settled: entry.settled }),
      ...(entry.schedule === undefined ? {} : { schedule: entry.schedule }),
    };
    const copy = new CopyAppend(JSON.stringify(head), body, {
      isCurrent: () =>
        index.get(id) === place &&
        place.settled === known.settled &&
        known.settled.said === known.said &&
        place.schedule === known.schedule,
      land: (to) => {
        if (index.get(id) === place) index.move(place, to, known);
      },
    });
    log.append(copy, true);
    return copy.promise;
  }
}

class CopyAppend implements Append {
  readonly sizeBytes: number;
  readonly #done = Promise.withResolvers<boolean>();
  readonly #json: string;
  readonly #body: readonly Buffer[];
  readonly #target: CopyTarget;
  #headBytes = 0;

  constructor(json: string, body: Buffer | undefined, target: CopyTarget) {
    this.sizeBytes = json.length + (body?.length ?? 0);
    this.#json = json;
    this.#body = body === undefined ? [] : [body];
    this.#target = target;
  }

  /** False when more was said of the message before its turn came. */
  get promise(): Promise<boolean> {
    return this.#done.promise;
  }

  encode(at: RecordPosition): readonly Buffer[] | undefined {
    if (!this.#target.isCurrent()) return undefined;
    const head = encodeRecord(recordKinds.message, at, this.#json, this.#body);
    this.#headBytes = head.length - recordHeaderBytes;
    return [head, ...this.#body];
  }

  durable(segment: Segment | undefined, offset: number): void {
    if (segment !== undefined) this.#target.land({ segment, offset, headBytes: this.#headBytes });
    this.#done.resolve(segment !== undefined);
  }

  failed(error: Error): boolean {
    this.#done.reject(error);
    return false;
  }
}

interface CopyTarget {
  readonly isCurrent: () => boolean;
  readonly land: (to: Pick<Place, "segment" | "offset" | "headBytes">) => void;
}
