/**
 * Where everything stands: for each message a place in the log. It keeps account of how much of each segment is still needed.
 * A place is an object from when somebody asks for it until `rest`; before and after it is a row of a packed table, about 70 octets
 * of memory with its id.
 */
import { TransientMap } from "../model/transient-map.ts";
import type { PortFile } from "./file-port.ts";
import { IdTable } from "./id-table.ts";
import { RestingPlaces } from "./resting-places.ts";
import { recordHeaderBytes } from "./segment-format.ts";
import { nothingSettled, type SettledNotes } from "./settled-notes.ts";
import type { Schedule } from "./store.ts";

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

/** An octet of the log. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

/** Something said of a message after its record. */
export interface Note<V> {
  /** Held in memory until it is durable. */
  value: V | undefined;
  segment: Segment | undefined;
  offset: number;
  headBytes: number;
}

export interface Removal {
  /** Resolves when it is durable. */
  readonly promise: Promise<void>;
  /** In the batch that is being written, or durable. */
  readonly taken: boolean;
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
  settled: SettledNotes;
  schedule: Note<Schedule> | undefined;
  /** Set when the message was removed. */
  removal: Removal | undefined;
  /** By so many who wait for something and count on its being the same object then. */
  held: number;
}

export class QueueIndex {
  readonly #ids = new IdTable();
  /** Places that are objects, by the number of their id; all others are packed. */
  readonly #awake = new TransientMap<number, Place>();
  readonly #resting = new RestingPlaces();
  /** Dropped, and the removal not in the log yet. */
  readonly #leaving = new TransientMap<string, Place>();

  get size(): number {
    return this.#ids.size;
  }

  has(id: string): boolean {
    return this.#ids.find(id) >= 0;
  }

  get(id: string): Place | undefined {
    const row = this.#ids.find(id);
    if (row < 0) return undefined;
    const known = this.#awake.get(row);
    if (known !== undefined) return known;
    const place = this.#resting.read(row);
    this.#resting.delete(row);
    this.#awake.set(row, place);
    return place;
  }

  /** Each id with its due time. */
  *waiting(): Generator<{ readonly id: string; readonly nextAttemptAt: number }> {
    for (const row of this.#ids.rows()) {
      const nextAttemptAt = this.#awake.get(row)?.nextAttemptAt ?? this.#resting.nextAttemptAt(row);
      yield { id: this.#ids.idOf(row), nextAttemptAt };
    }
  }

  /** Nobody asks for its place just now: packed again, unless somebody counts on the object. */
  rest(id: string): void {
    const row = this.#ids.find(id);
    const place = row < 0 ? undefined : this.#awake.get(row);
    if (place === undefined || !isAtRest(place)) return;
    this.#awake.delete(row);
    this.#resting.set(row, place);
  }

  /** Octets of its content, when all of it is in the log. */
  contentBytes(id: string): number | undefined {
    const row = this.#ids.find(id);
    if (row < 0) return undefined;
    const place = this.#awake.get(row) ?? this.#resting.read(row);
    return place.spooled ? undefined : place.bodyBytes;
  }

  /** Ids of messages whose content is a file. */
  *spooled(): Generator<string> {
    for (const row of this.#ids.rows())
      if (this.#awake.get(row)?.spooled ?? this.#resting.isSpooled(row)) yield this.#ids.idOf(row);
  }

  /**
   * All that a restart would have to find, what is being removed last. May go on while the index changes: what changes behind its back
   * is in the log after the place where it began. Places that nobody holds are packed on the way; do not keep what it gives.
   */
  *all(): Generator<readonly [id: string, place: Place]> {
    for (const row of this.#ids.rows()) {
      const place = this.#awake.get(row);
      if (place !== undefined && isAtRest(place)) {
        this.#awake.delete(row);
        this.#resting.set(row, place);
      }
      yield [this.#ids.idOf(row), place ?? this.#resting.read(row)];
    }
    yield* this.#leaving;
  }

  /** A message's record is durable there. It says all that was known then, so what was said before is not needed any more. */
  put(id: string, at: PlacedMessage): void {
    this.drop(id);
    this.restore(id, { ...at, settled: nothingSettled, schedule: undefined });
  }

  /** As `put`, with what was said since; its notes are in the log. The id must not be there. */
  restore(id: string, place: PlacedMessage & Pick<Place, "settled" | "schedule">): void {
    count(place, 1);
    this.#resting.set(this.#ids.add(id), place);
  }

  /** Compaction has copied a message and all in `copied`; what was said since stays. */
  move(
    place: Place,
    to: Pick<Place, "segment" | "offset" | "headBytes">,
    copied: { readonly settled: SettledNotes; readonly said: number; readonly schedule: Place["schedule"] },
  ): void {
    count(place, -1);
    place.segment = to.segment;
    place.offset = to.offset;
    place.headBytes = to.headBytes;
    if (place.settled === copied.settled) place.settled.dropSaid(copied.said);
    if (place.settled.size === 0) place.settled = nothingSettled;
    if (place.schedule === copied.schedule) place.schedule = undefined;
    count(place, 1);
  }

  drop(id: string): Place | undefined {
    const place = this.get(id);
    if (place === undefined) return undefined;
    const row = this.#ids.find(id);
    this.#awake.delete(row);
    this.#ids.delete(row);
    count(place, -1);
    return place;
  }

  /** As `drop`; until `removed` a restart must find it. */
  leave(id: string): Place | undefined {
    const place = this.drop(id);
    if (place !== undefined) this.#leaving.set(id, place);
    return place;
  }

  removed(id: string): void {
    this.#leaving.delete(id);
  }

  /** The segment's file is gone. */
  forget(segment: Segment): void {
    this.#resting.forget(segment);
    for (const [id, place] of this.#leaving) if (place.segment === segment) this.#leaving.delete(id);
  }
}

/** A message's record, and nothing said of it since. */
export type PlacedMessage = Pick<Place, "segment" | "offset" | "headBytes" | "bodyBytes" | "spooled" | "nextAttemptAt">;

/** Nobody counts on this object, and all that it says is in the log. */
function isAtRest({ held, removal, schedule, settled }: Place): boolean {
  if (held > 0 || removal !== undefined) return false;
  if (schedule !== undefined && schedule.segment === undefined) return false;
  for (const { segment } of settled) if (segment === undefined) return false;
  return true;
}

/** Something said of a message is durable there; of one that is being removed nothing counts any more. */
export function landNote<V>(note: Note<V>, segment: Segment, offset: number, headBytes: number, leaving = false): void {
  note.value = undefined;
  note.segment = segment;
  note.offset = offset;
  note.headBytes = headBytes;
  if (!leaving) countNote(note, 1);
}

/** It has been replaced by something newer. */
export function replaceNote<V>(note: Note<V> | undefined): void {
  if (note !== undefined) countNote(note, -1);
}

export function pendingNote<V>(value: V): Note<V> {
  return { value, segment: undefined, offset: 0, headBytes: 0 };
}

function count(place: Pick<Place, "segment" | "headBytes" | "bodyBytes" | "settled" | "schedule">, sign: 1 | -1): void {
  const { segment, headBytes, bodyBytes } = place;
  segment.liveMessages += sign;
  segment.liveBytes += sign * (recordHeaderBytes + headBytes + bodyBytes);
  for (const note of place.settled) countNote(note, sign);
  if (place.schedule !== undefined) countNote(place.schedule, sign);
}

function countNote(note: Note<unknown>, sign: 1 | -1): void {
  if (note.segment !== undefined) note.segment.liveBytes += sign * (recordHeaderBytes + note.headBytes);
}
