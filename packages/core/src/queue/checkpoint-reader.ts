/** Reads a checkpoint from its file and checks every octet of it; what it means for the log is `checkpoint-restore.ts`'s. */
import { crc32 } from "node:zlib";
import {
  blockHeaderBytes,
  blockKinds,
  checkpointHeaderBytes,
  type CheckpointedMessage,
  decodeCheckpointHeader,
  decodeListedSegments,
  decodeMessages,
  type ListedSegment,
} from "./checkpoint-format.ts";
import type { PortFile } from "./file-port.ts";
import type { LogPosition } from "./queue-index.ts";

export interface CheckpointSink {
  /** Once, first. False: the rest is not wanted. */
  segments(listed: readonly ListedSegment[], covered: LogPosition): boolean;
  /** What it was told is worth nothing until `readCheckpoint` has returned. */
  message(message: CheckpointedMessage): void;
}

/** No block of ours comes near it. */
const maxBlockBytes = 64 * 1024 * 1024;
const windowBytes = 1024 * 1024;

/** What it covers, when all of it is there and sound, and the sink wanted it. */
export async function readCheckpoint(file: PortFile, sink: CheckpointSink): Promise<LogPosition | undefined> {
  const size = await file.size();
  const scratch = Buffer.allocUnsafeSlow(windowBytes);
  let window: Buffer = scratch.subarray(0, 0);
  let base = 0;
  /** `length` octets from `offset`; `undefined` when the file is shorter. */
  const take = async (offset: number, length: number): Promise<Buffer | undefined> => {
    if (offset + length > size) return undefined;
    if (offset < base || offset + length > base + window.length) {
      window = await file.read(offset, Math.min(Math.max(windowBytes, length), size - offset), scratch);
      base = offset;
    }
    const octets = window.subarray(offset - base, offset - base + length);
    return octets.length === length ? octets : undefined;
  };

  const header = await take(0, checkpointHeaderBytes);
  const covered = header && decodeCheckpointHeader(header);
  if (header === undefined || covered === undefined) return undefined;
  let crc = header.readUInt32LE(28);
  let messages = 0;
  for (let at = checkpointHeaderBytes; ;) {
    const blockHeader = await take(at, blockHeaderBytes);
    if (blockHeader === undefined) return undefined;
    const kind = blockHeader.readUInt32LE(0);
    const length = blockHeader.readUInt32LE(4);
    const expected = blockHeader.readUInt32LE(8);
    if (length > maxBlockBytes) return undefined;
    crc = crc32(blockHeader.subarray(0, 8), crc);
    const payload = await take(at + blockHeaderBytes, length);
    if (payload === undefined) return undefined;
    crc = crc32(payload, crc);
    if (crc !== expected) return undefined;
    const first = at === checkpointHeaderBytes;
    at += blockHeaderBytes + length;
    if (first !== (kind === blockKinds.segments)) return undefined;
    if (kind === blockKinds.segments) {
      if (!sink.segments([...decodeListedSegments(payload)], covered)) return undefined;
    } else if (kind === blockKinds.messages) {
      for (const message of decodeMessages(payload)) {
        messages += 1;
        sink.message(message);
      }
    } else if (kind === blockKinds.end) {
      return at === size && length === 4 && payload.readUInt32LE(0) === messages ? covered : undefined;
    } else return undefined;
  }
}
