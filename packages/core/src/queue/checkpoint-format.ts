/**
 * The checkpoint's octets (docs: queue format). Little-endian; each CRC-32 is started with the one before it, so that no block is
 * lost, doubled or of another checkpoint.
 *
 *   header, 32 octets                    block: header of 12 octets, then payload
 *    0  "POSTERNC"                        0  u8  kind
 *    8  u16 version (2)                   1  u8[3] 0
 *   10  u16 0                             4  u32 length of payload
 *   12  u32 segment, 16 u32 offset:       8  u32 CRC of octets 0…7 and the payload
 *           all before is in here
 *   20  u32[2] 0                         kinds: 1 segments, first; 2 messages, any number; 3 end, last
 *   28  u32 CRC of octets 0…27, from 0
 *
 *   segments: for each of the log      messages: for each                                  end
 *    u32 number                         u8 length of id                                     u32 number of messages
 *    u32 salt                           u8 flags: 1 content in a file, 2 has a schedule
 *    u32 size                           u32 number of settled notes
 *                                       id, f64 next attempt, u32 length of body
 *                                       places: message, schedule if any, settled notes
 *                                       place: u32 segment, u32 offset, u32 length of head
 */
import { crc32 } from "node:zlib";
import type { LogPosition, Place, Segment } from "./queue-index.ts";

export const checkpointHeaderBytes = 32;
export const blockHeaderBytes = 12;
export const blockKinds = Object.freeze({ segments: 1, messages: 2, end: 3 });
const magic = Buffer.from("POSTERNC", "latin1");
const version = 2;
const placeBytes = 12;
const fixedMessageBytes = 6 + 8 + 4;
const flags = Object.freeze({ spooled: 1, schedule: 2 });

/** A place in the log, by the number of its segment. */
export interface NumberedPlace {
  readonly segment: number;
  readonly offset: number;
  readonly headBytes: number;
}

export interface CheckpointedMessage extends NumberedPlace {
  readonly id: string;
  readonly bodyBytes: number;
  readonly spooled: boolean;
  readonly nextAttemptAt: number;
  readonly schedule: NumberedPlace | undefined;
  readonly settled: readonly NumberedPlace[];
}

export type ListedSegment = Pick<Segment, "number" | "salt" | "size">;

export function encodeCheckpointHeader({ segment, offset }: LogPosition): Buffer {
  const octets = Buffer.alloc(checkpointHeaderBytes);
  magic.copy(octets);
  octets.writeUInt16LE(version, 8);
  octets.writeUInt32LE(segment, 12);
  octets.writeUInt32LE(offset, 16);
  octets.writeUInt32LE(crc32(octets.subarray(0, 28)), 28);
  return octets;
}

/** `undefined` when it is none, or none of this version. */
export function decodeCheckpointHeader(octets: Buffer): LogPosition | undefined {
  if (octets.length < checkpointHeaderBytes || !magic.equals(octets.subarray(0, 8))) return undefined;
  if (crc32(octets.subarray(0, 28)) !== octets.readUInt32LE(28) || octets.readUInt16LE(8) !== version) return undefined;
  return { segment: octets.readUInt32LE(12), offset: octets.readUInt32LE(16) };
}

/** The block in one buffer, and the CRC that the next is started with. */
export function encodeBlock(kind: number, payload: Buffer, previousCrc: number): { octets: Buffer; crc: number } {
  const octets = Buffer.allocUnsafe(blockHeaderBytes + payload.length);
  octets.writeUInt32LE(kind, 0);
  octets.writeUInt32LE(payload.length, 4);
  payload.copy(octets, blockHeaderBytes);
  const crc = crc32(payload, crc32(octets.subarray(0, 8), previousCrc));
  octets.writeUInt32LE(crc, 8);
  return { octets, crc };
}

export function encodeListedSegments(segments: readonly ListedSegment[]): Buffer {
  const octets = Buffer.allocUnsafe(segments.length * 12);
  for (const [row, { number, salt, size }] of segments.entries()) {
    octets.writeUInt32LE(number, row * 12);
    octets.writeUInt32LE(salt, row * 12 + 4);
    octets.writeUInt32LE(size, row * 12 + 8);
  }
  return octets;
}

export function* decodeListedSegments(octets: Buffer): Generator<ListedSegment> {
  for (let at = 0; at + 12 <= octets.length; at += 12) {
    yield { number: octets.readUInt32LE(at), salt: octets.readUInt32LE(at + 4), size: octets.readUInt32LE(at + 8) };
  }
}

/** Octets that `encodeMessage` will write, at most. */
export function sizeOfMessage(id: string, { settled }: Pick<Place, "settled">): number {
  return fixedMessageBytes + id.length + placeBytes * (2 + settled.size);
}

/** Writes a message and what is in the log of it; where it ends. */
export function encodeMessage(octets: Buffer, start: number, id: string, place: Place): number {
  const { schedule } = place;
  const noted = schedule?.segment !== undefined;
  const settled = [...place.settled].filter(({ segment }) => segment !== undefined);
  octets.writeUInt8(id.length, start);
  octets.writeUInt8((place.spooled ? flags.spooled : 0) | (noted ? flags.schedule : 0), start + 1);
  octets.writeUInt32LE(settled.length, start + 2);
  let at = start + 6 + octets.write(id, start + 6, "latin1");
  at = octets.writeDoubleLE(place.nextAttemptAt, at);
  at = octets.writeUInt32LE(place.bodyBytes, at);
  at = encodePlace(octets, at, place.segment, place);
  if (noted) at = encodePlace(octets, at, schedule.segment as Segment, schedule);
  for (const note of settled) at = encodePlace(octets, at, note.segment as Segment, note);
  return at;
}

function encodePlace(
  octets: Buffer,
  at: number,
  segment: Segment,
  { offset, headBytes }: { offset: number; headBytes: number },
): number {
  octets.writeUInt32LE(segment.number, at);
  octets.writeUInt32LE(offset, at + 4);
  return octets.writeUInt32LE(headBytes, at + 8);
}

/** Throws RangeError when the payload ends too early. */
export function* decodeMessages(octets: Buffer): Generator<CheckpointedMessage> {
  for (let at = 0; at < octets.length;) {
    const idBytes = octets.readUInt8(at);
    const bits = octets.readUInt8(at + 1);
    const notes = octets.readUInt32LE(at + 2);
    const id = octets.toString("latin1", at + 6, at + 6 + idBytes);
    at += 6 + idBytes;
    const nextAttemptAt = octets.readDoubleLE(at);
    const bodyBytes = octets.readUInt32LE(at + 8);
    at += 12;
    const place = decodePlace(octets, at);
    at += placeBytes;
    let schedule: NumberedPlace | undefined;
    if ((bits & flags.schedule) !== 0) {
      schedule = decodePlace(octets, at);
      at += placeBytes;
    }
    const settled: NumberedPlace[] = [];
    for (let note = 0; note < notes; note += 1, at += placeBytes) settled.push(decodePlace(octets, at));
    const { segment, offset, headBytes } = place;
    const spooled = (bits & flags.spooled) !== 0;
    yield { id, segment, offset, headBytes, bodyBytes, spooled, nextAttemptAt, schedule, settled };
  }
}

function decodePlace(octets: Buffer, at: number): NumberedPlace {
  return {
    segment: octets.readUInt32LE(at),
    offset: octets.readUInt32LE(at + 4),
    headBytes: octets.readUInt32LE(at + 8),
  };
}
