/**
 * The log's octets (docs: queue format). Little-endian throughout; CRC-32 is zlib's, started with the segment's salt, and a
 * record header's with salt XOR its own offset, so that neither a message that contains records nor a block that came to the
 * wrong place is ever taken for records.
 *
 *   segment header, 32 octets           record header, 28 octets, then head, then body
 *    0  "POSTERNQ"                       0  marker 9e 51 c3 0a
 *    8  u16 version (1)                  4  u8  kind
 *   10  u16 0                            5  u8[3] 0
 *   12  u32 salt                         8  u32 length of head
 *   16  u32 number                      12  u32 length of body
 *   20  u32 number of the one before    16  u32 CRC of head
 *   24  u32 0                           20  u32 CRC of body
 *   28  u32 CRC of octets 0…27, from 0  24  u32 CRC of octets 0…23, with the offset
 *
 * A head is JSON in UTF-8. Unknown keys are ignored, unknown kinds are kept but not understood.
 */
import { crc32 } from "node:zlib";
import type { QueuedMessage } from "../model/index.ts";
import type { Schedule, Settlement } from "./store.ts";

export const segmentHeaderBytes = 32;
export const recordHeaderBytes = 28;
const magic = Buffer.from("POSTERNQ", "latin1");
const version = 1;
export const marker = Buffer.from([0x9e, 0x51, 0xc3, 0x0a]);
const markerValue = marker.readUInt32LE(0);

export const recordKinds = Object.freeze({ message: 1, settled: 2, schedule: 3, remove: 4, discard: 5 });

/** The rest of a content in a file of its own. */
export interface SpoolReference {
  /** Name inside the spool folder. */
  readonly file: string;
  /** Of the whole file. */
  readonly bytes: number;
  /** CRC-32 of the whole file, from 0. */
  readonly crc: number;
  /** Where in the file the rest begins; what stands before is not part of the content. 0 unless given. */
  readonly from?: number;
}

/**
 * kind `message`: all that is known of a message at this point of the log. Its content is the body, and then what `spool` says, if there
 * is one.
 */
export interface MessageHead {
  readonly message: QueuedMessage;
  readonly spool?: SpoolReference;
  /** Only in a copy that compaction made. */
  readonly settled?: readonly Settlement[];
  /** In such a copy, and of a message that was to wait from the beginning. */
  readonly schedule?: Schedule;
}
/** kind `settled`. */
export interface SettledHead {
  readonly id: string;
  readonly settled: readonly Settlement[];
}
/** kind `schedule`. */
export interface ScheduleHead {
  readonly id: string;
  readonly schedule: Schedule;
}
/** kind `remove`. */
export interface RemoveHead {
  readonly id: string;
}
/** kind `discard`: what stands in that segment from that octet on was never acknowledged, whatever it says. */
export interface DiscardHead {
  readonly segment: number;
  readonly from: number;
}

export interface SegmentHeader {
  readonly salt: number;
  readonly number: number;
  readonly previous: number;
}

export interface RecordHeader {
  readonly kind: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly headCrc: number;
  readonly bodyCrc: number;
}

export function encodeSegmentHeader({ salt, number, previous }: SegmentHeader): Buffer {
  const octets = Buffer.alloc(segmentHeaderBytes);
  magic.copy(octets);
  octets.writeUInt16LE(version, 8);
  octets.writeUInt32LE(salt, 12);
  octets.writeUInt32LE(number, 16);
  octets.writeUInt32LE(previous, 20);
  octets.writeUInt32LE(crc32(octets.subarray(0, 28)), 28);
  return octets;
}

/** `undefined` when it is no header; `"version"` when it is one of a version this code does not know. */
export function decodeSegmentHeader(octets: Buffer): SegmentHeader | "version" | undefined {
  if (octets.length < segmentHeaderBytes || !magic.equals(octets.subarray(0, 8))) return undefined;
  if (crc32(octets.subarray(0, 28)) !== octets.readUInt32LE(28)) return undefined;
  if (octets.readUInt16LE(8) !== version) return "version";
  return { salt: octets.readUInt32LE(12), number: octets.readUInt32LE(16), previous: octets.readUInt32LE(20) };
}

/** Where a record will stand. */
export interface RecordPosition {
  readonly salt: number;
  readonly offset: number;
}

function seedOf(salt: number, offset: number): number {
  return (salt ^ offset) >>> 0;
}

/** Record header and head in one buffer; the body's chunks follow it in the file as they are. */
export function encodeRecord(
  kind: number,
  { salt, offset }: RecordPosition,
  json: string,
  body: readonly Buffer[] = [],
): Buffer {
  const headBytes = Buffer.byteLength(json);
  const octets = Buffer.allocUnsafe(recordHeaderBytes + headBytes);
  octets.write(json, recordHeaderBytes);
  let bodyBytes = 0;
  let bodyCrc = salt;
  for (const chunk of body) {
    bodyBytes += chunk.length;
    bodyCrc = crc32(chunk, bodyCrc);
  }
  octets.writeUInt32LE(markerValue, 0);
  octets.writeUInt32LE(kind, 4);
  octets.writeUInt32LE(headBytes, 8);
  octets.writeUInt32LE(bodyBytes, 12);
  octets.writeUInt32LE(crc32(octets.subarray(recordHeaderBytes), salt), 16);
  octets.writeUInt32LE(bodyCrc, 20);
  octets.writeUInt32LE(crc32(octets.subarray(0, 24), seedOf(salt, offset)), 24);
  return octets;
}

/** The record header at `at` in `octets`, read from `position`; `undefined` when there is none or it is damaged. */
export function decodeRecordHeader(octets: Buffer, at: number, position: RecordPosition): RecordHeader | undefined {
  if (at + recordHeaderBytes > octets.length || octets.readUInt32LE(at) !== markerValue) return undefined;
  const crc = crc32(octets.subarray(at, at + 24), seedOf(position.salt, position.offset));
  if (crc !== octets.readUInt32LE(at + 24)) return undefined;
  return {
    kind: octets.readUInt8(at + 4),
    headBytes: octets.readUInt32LE(at + 8),
    bodyBytes: octets.readUInt32LE(at + 12),
    headCrc: octets.readUInt32LE(at + 16),
    bodyCrc: octets.readUInt32LE(at + 20),
  };
}

export function sizeOfRecord({ headBytes, bodyBytes }: Pick<RecordHeader, "headBytes" | "bodyBytes">): number {
  return recordHeaderBytes + headBytes + bodyBytes;
}

/** Are head and body, which stand at `offset` behind `header`, what was written? */
export function isIntact(octets: Buffer, offset: number, header: RecordHeader, salt: number): boolean {
  const head = offset + recordHeaderBytes;
  const body = head + header.headBytes;
  return (
    crc32(octets.subarray(head, body), salt) === header.headCrc &&
    crc32(octets.subarray(body, body + header.bodyBytes), salt) === header.bodyCrc
  );
}

const segmentName = /^(\d{10})-([0-9a-f]{8})\.log$/;

/** The salt stands in the name too, so that a damaged header costs nothing. */
export function nameSegment(number: number, salt: number): string {
  return `${String(number).padStart(10, "0")}-${salt.toString(16).padStart(8, "0")}.log`;
}

export function parseSegmentName(name: string): { readonly number: number; readonly salt: number } | undefined {
  const [, number, salt] = segmentName.exec(name) ?? [];
  return number === undefined || salt === undefined ? undefined : { number: Number(number), salt: parseInt(salt, 16) };
}
