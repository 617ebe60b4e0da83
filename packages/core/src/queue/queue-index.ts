/** Where everything stands: for each message a place in the log, about 200 octets of memory. */
import type { PortFile } from "./file-port.ts";
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
}

export type QueueIndex = Map<string, Place>;

export const nothingSettled: readonly Note<readonly Settlement[]>[] = Object.freeze([]);

export function pendingNote<V>(value: V): Note<V> {
  return { value, segment: undefined, offset: 0, headBytes: 0 };
}
