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
import { entryOf, Settlements } from "./settlements.ts";
import type { QueueEntry } from "./store.ts";
import { storeError } from "./store-error.ts";

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
  for (const note of notes) {
    settled.add(note.value ?? (await readNote<SettledHead>(note)).settled);
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

function readNote<H>(note: Note<unknown>): Promise<H> {
  if (note.segment === undefined) throw storeError("find a record", new Error("it was never written"));
  return readHead(note.segment, note) as Promise<H>;
}

async function readHead(
  segment: Segment,
  { offset, headBytes }: { offset: number; headBytes: number },
): Promise<unknown> {
  const octets = await read(segment, offset, recordHeaderBytes + headBytes);
  const header = decodeRecordHeader(octets, 0, { salt: segment.salt, offset });
  const head = octets.subarray(recordHeaderBytes);
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
