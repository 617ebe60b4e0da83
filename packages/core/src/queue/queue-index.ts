/**
 * Where everything stands: for each message a place in the log, about 200 octets of memory. It keeps account of how much of
 * each segment is still needed.
 */
import type { PortFile } from "./file-port.ts";
import { recordHeaderBytes } from "./segment-format.ts";
import type { Schedule, Settlement } from "./store.ts";

/** One file of the log. */
export interface Segment {
  readonly number: number;
  readonly salt: number;
  readonly path: string;
  readonly file: PortFile;
  /** Where the last durable record ends. */
  size: number;
  /** Octets of records that are still needed. */
  liveBytes: number;
  /** Messages whose record is here. Without any the segment is not needed, once all older ones are gone. */
  liveMessages: number;
}

/** Something said of a message after its record. */
export interface Note<V> {
  /** Held in memory until it is durable. */
  value: V | undefined;
  segment: Segment | undefined;
  offset: number;
  headBytes: number;
}

/** A message's record. */
export interface Place {
  segment: Segment;
  offset: number;
  headBytes: number;
  bodyBytes: number;
  /** The content is a file in the spool folder. */
  readonly spooled: boolean;
  /** 0 before the first deferral. */
  nextAttemptAt: number;
  /** Replaced, never changed, so that a copy can tell whether more was said meanwhile. */
  settled: readonly Note<readonly Settlement[]>[];
  schedule: Note<Schedule> | undefined;
  /** Set when the message was removed: resolves when that is durable. */
  removal: Promise<void> | undefined;
}

const nothingSettled: readonly Note<readonly Settlement[]>[] = Object.freeze([]);

export class QueueIndex {
  readonly #places = new Map<string, Place>();

  get size(): number {
    return this.#places.size;
  }

  get(id: string): Place | undefined {
    return this.#places.get(id);
  }

  entries(): IterableIterator<[string, Place]> {
    return this.#places.entries();
  }

  /** A message's record is durable there. It says all that was known then, so what was said before is not needed any more. */
  put(
    id: string,
    at: Pick<Place, "segment" | "offset" | "headBytes" | "bodyBytes" | "spooled" | "nextAttemptAt">,
  ): void {
    this.drop(id);
    const { segment, offset, headBytes, bodyBytes, spooled, nextAttemptAt } = at;
    const place = {
      segment,
      offset,
      headBytes,
      bodyBytes,
      spooled,
      nextAttemptAt,
      settled: nothingSettled,
      schedule: undefined,
      removal: undefined,
    };
    this.#places.set(id, place);
    segment.liveMessages += 1;
    segment.liveBytes += recordHeaderBytes + headBytes + bodyBytes;
  }

  /** Compaction has copied a message and all in `copied`; what was said since stays. */
  move(
    place: Place,
    to: Pick<Place, "segment" | "offset" | "headBytes">,
    copied: Pick<Place, "settled" | "schedule">,
  ): void {
    count(place, -1);
    place.segment = to.segment;
    place.offset = to.offset;
    place.headBytes = to.headBytes;
    const later = place.settled.filter((note) => !copied.settled.includes(note));
    place.settled = later.length === 0 ? nothingSettled : later;
    if (place.schedule === copied.schedule) place.schedule = undefined;
    count(place, 1);
  }

  drop(id: string): Place | undefined {
    const place = this.#places.get(id);
    if (place === undefined) return undefined;
    this.#places.delete(id);
    count(place, -1);
    return place;
  }
}

/** Something said of a message is durable there. */
export function landNote<V>(note: Note<V>, segment: Segment, offset: number, headBytes: number): void {
  note.value = undefined;
  note.segment = segment;
  note.offset = offset;
  note.headBytes = headBytes;
  countNote(note, 1);
}

/** It has been replaced by something newer. */
export function replaceNote<V>(note: Note<V> | undefined): void {
  if (note !== undefined) countNote(note, -1);
}

export function pendingNote<V>(value: V): Note<V> {
  return { value, segment: undefined, offset: 0, headBytes: 0 };
}

function count(place: Place, sign: 1 | -1): void {
  const { segment, headBytes, bodyBytes } = place;
  segment.liveMessages += sign;
  segment.liveBytes += sign * (recordHeaderBytes + headBytes + bodyBytes);
  for (const note of place.settled) countNote(note, sign);
  if (place.schedule !== undefined) countNote(place.schedule, sign);
}

function countNote(note: Note<unknown>, sign: 1 | -1): void {
  if (note.segment !== undefined) note.segment.liveBytes += sign * (recordHeaderBytes + note.headBytes);
}
