/** Reads records back from their places, and checks what it reads. */
import { PosternError } from "../errors.ts";
import type { Note, Place, Segment } from "./queue-index.ts";
import {
  decodeRecordHeader,
  type MessageHead,
  recordHeaderBytes,
  type ScheduleHead,
  type SettledHead,
  type SpoolReference,
} from "./segment-format.ts";
import { crc32 } from "node:zlib";
import type { SettledNote } from "./settled-notes.ts";
import { entryOf, Settlements } from "./settlements.ts";
import type { QueueEntry } from "./store.ts";
import { storeError } from "./store-error.ts";

/** Read at once, of what was said of a message after its record. */
const runBytes = 64 * 1024;

type HeadPlace = Pick<Place, "offset" | "headBytes">;

export interface StoredMessage {
  readonly entry: QueueEntry;
  readonly spool: SpoolReference | undefined;
}

/** The message with all that was said of it. Rejects with STORE_DAMAGED or STORE_UNAVAILABLE. */
export async function readMessage(place: Place): Promise<StoredMessage> {
  // Taken together, now: compaction may move the message while it is read, and then the old place still says all of it.
  const notes = [...place.settled];
  const last = place.schedule;
  const head = (await readHead(place.segment, place)) as MessageHead;
  const settled = new Settlements();
  settled.add(head.settled ?? []);
  for (let at = 0; at < notes.length;) {
    const { value } = notes[at] as SettledNote;
    if (value === undefined) {
      const run = neighbours(notes, at);
      for (const head of await readRun(run)) settled.add((head as SettledHead).settled);
      at += run.length;
    } else {
      settled.add(value);
      at += 1;
    }
  }
  const schedule = last === undefined ? head.schedule : (last.value ?? (await readNote<ScheduleHead>(last)).schedule);
  return { entry: entryOf(head.message, settled, schedule), spool: head.spool };
}

/** The body as it stands in the log, in one buffer. Rejects with STORE_DAMAGED or STORE_UNAVAILABLE. */
export async function readBody({ segment, offset, headBytes, bodyBytes }: Place): Promise<Buffer> {
  const octets = await read(segment, offset, recordHeaderBytes + headBytes + bodyBytes);
  const header = decodeRecordHeader(octets, 0, { salt: segment.salt, offset });
  const body = octets.subarray(recordHeaderBytes + headBytes);
  if (header?.bodyBytes !== body.length || crc32(body, segment.salt) !== header.bodyCrc) throw damaged(segment, offset);
  return body;
}

async function readNote<H>(note: Note<unknown>): Promise<H> {
  const [head] = await readRun([note]);
  return head as H;
}

/** The notes from `first` on that one read brings: a list's outcomes are thousands, most of them side by side. */
function neighbours(notes: readonly SettledNote[], first: number): readonly SettledNote[] {
  let last = notes[first] as SettledNote;
  const { segment, offset } = last;
  let end = first + 1;
  for (; end < notes.length; end += 1) {
    const note = notes[end] as SettledNote;
    if (note.value !== undefined || note.segment !== segment || note.offset < last.offset) break;
    if (note.offset + note.headBytes > offset + runBytes) break;
    last = note;
  }
  return notes.slice(first, end);
}

/** The heads of notes of one segment, in ascending order, with one read. */
async function readRun(run: readonly Note<unknown>[]): Promise<unknown[]> {
  const [first, last] = [run[0] as Note<unknown>, run.at(-1) as Note<unknown>];
  const { segment } = first;
  if (segment === undefined) throw storeError("find a record", new Error("it was never written"));
  const octets = await read(segment, first.offset, last.offset - first.offset + recordHeaderBytes + last.headBytes);
  return run.map((note) => headIn(octets.subarray(note.offset - first.offset), segment, note));
}

/** Of the place as it is now: it may be another when the octets are here. */
async function readHead(segment: Segment, { offset, headBytes }: HeadPlace): Promise<unknown> {
  return headIn(await read(segment, offset, recordHeaderBytes + headBytes), segment, { offset, headBytes });
}

/** Of a record that `octets` begin with. */
function headIn(octets: Buffer, segment: Segment, { offset, headBytes }: HeadPlace): unknown {
  const header = decodeRecordHeader(octets, 0, { salt: segment.salt, offset });
  const head = octets.subarray(recordHeaderBytes, recordHeaderBytes + headBytes);
  if (header?.headBytes !== head.length || crc32(head, segment.salt) !== header.headCrc) throw damaged(segment, offset);
  return JSON.parse(head.toString());
}

async function read(segment: Segment, offset: number, length: number): Promise<Buffer> {
  try {
    return await segment.file.read(offset, length);
  } catch (cause) {
    throw storeError("be read", cause);
  }
}

function damaged(segment: Segment, offset: number): PosternError {
  return new PosternError("STORE_DAMAGED", `the queue's record at ${segment.path}:${offset} is not what was written`);
}
