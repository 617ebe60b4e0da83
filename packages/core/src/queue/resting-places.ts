/**
 * Places of messages that nothing is being done about, packed: 37 octets each, so that a million waiting messages are cheap to
 * hold. The rows have the numbers that the index has for their ids.
 */
import { widened } from "./id-table.ts";
import type { Place, Segment } from "./queue-index.ts";
import { nothingSettled, type SettledNotes } from "./settled-notes.ts";

const columns = 7;
const [segmentAt, offsetAt, headAt, bodyAt, noteSegmentAt, noteOffsetAt, noteHeadAt] = [0, 1, 2, 3, 4, 5, 6] as const;
const spooledFlag = 1;
const scheduleFlag = 2;
const settledFlag = 4;

export class RestingPlaces {
  #numbers = new Uint32Array(columns * 64);
  #due = new Float64Array(64);
  #flags = new Uint8Array(64);
  readonly #settled = new Map<number, SettledNotes>();
  /** Segments by the number their rows have for them. */
  readonly #segments: (Segment | undefined)[] = [];
  readonly #segmentRows = new Map<Segment, number>();

  /** The place's notes must be in the log. */
  set(row: number, place: Omit<Place, "removal" | "held">): void {
    if (row >= this.#due.length) this.#widen(row);
    const { schedule, settled } = place;
    const at = row * columns;
    const numbers = this.#numbers;
    numbers[at + segmentAt] = this.#segmentRow(place.segment);
    numbers[at + offsetAt] = place.offset;
    numbers[at + headAt] = place.headBytes;
    numbers[at + bodyAt] = place.bodyBytes;
    this.#due[row] = place.nextAttemptAt;
    let flags = place.spooled ? spooledFlag : 0;
    if (schedule?.segment !== undefined) {
      flags |= scheduleFlag;
      numbers[at + noteSegmentAt] = this.#segmentRow(schedule.segment);
      numbers[at + noteOffsetAt] = schedule.offset;
      numbers[at + noteHeadAt] = schedule.headBytes;
    }
    if (settled.size > 0) {
      flags |= settledFlag;
      this.#settled.set(row, settled);
    }
    this.#flags[row] = flags;
  }

  read(row: number): Place {
    const at = row * columns;
    const numbers = this.#numbers;
    const flags = this.#flags[row] as number;
    return {
      segment: this.#segments[numbers[at + segmentAt] as number] as Segment,
      offset: numbers[at + offsetAt] as number,
      headBytes: numbers[at + headAt] as number,
      bodyBytes: numbers[at + bodyAt] as number,
      spooled: (flags & spooledFlag) !== 0,
      nextAttemptAt: this.#due[row] as number,
      settled: (flags & settledFlag) === 0 ? nothingSettled : (this.#settled.get(row) ?? nothingSettled),
      schedule:
        (flags & scheduleFlag) === 0
          ? undefined
          : {
              value: undefined,
              segment: this.#segments[numbers[at + noteSegmentAt] as number],
              offset: numbers[at + noteOffsetAt] as number,
              headBytes: numbers[at + noteHeadAt] as number,
            },
      removal: undefined,
      held: 0,
    };
  }

  nextAttemptAt(row: number): number {
    return this.#due[row] as number;
  }

  isSpooled(row: number): boolean {
    return ((this.#flags[row] as number) & spooledFlag) !== 0;
  }

  delete(row: number): void {
    if (((this.#flags[row] as number) & settledFlag) !== 0) this.#settled.delete(row);
  }

  /** The segment's file is gone, and with it all that rows could say of it. */
  forget(segment: Segment): void {
    const row = this.#segmentRows.get(segment);
    if (row === undefined) return;
    this.#segmentRows.delete(segment);
    this.#segments[row] = undefined;
  }

  #segmentRow(segment: Segment): number {
    const known = this.#segmentRows.get(segment);
    if (known !== undefined) return known;
    const free = this.#segments.indexOf(undefined);
    const row = free < 0 ? this.#segments.length : free;
    this.#segments[row] = segment;
    this.#segmentRows.set(segment, row);
    return row;
  }

  #widen(row: number): void {
    const rows = row + Math.max(row >> 1, 64);
    this.#numbers = widened(this.#numbers, new Uint32Array(rows * columns));
    this.#due = widened(this.#due, new Float64Array(rows));
    this.#flags = widened(this.#flags, new Uint8Array(rows));
  }
}
