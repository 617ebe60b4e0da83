/**
 * Reads a segment from end to end and finds every sound record, whatever stands between them. What is unsound it names by
 * offset and length; it decides nothing about it.
 */
import type { PortFile } from "./file-port.ts";
import {
  decodeRecordHeader,
  isIntact,
  marker,
  recordHeaderBytes,
  type RecordHeader,
  sizeOfRecord,
} from "./segment-format.ts";

export interface ScannedRecord {
  readonly offset: number;
  readonly header: RecordHeader;
  /** Valid during the call only. */
  readonly head: Buffer;
}

export interface Gap {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface ScanResult {
  /** Where the last sound record ends. */
  readonly soundEnd: number;
  /** Unsound stretches with sound records behind them. */
  readonly gaps: readonly Gap[];
  /** What stands behind `soundEnd`; `short` when it is the beginning of one record that the file ends in: an unfinished write. */
  readonly tail: (Gap & { readonly short: boolean }) | undefined;
}

/** Octets read at a time; grows for larger records. */
const windowBytes = 1024 * 1024;

export async function scanSegment(
  file: PortFile,
  salt: number,
  start: number,
  onRecord: (record: ScannedRecord) => void,
): Promise<ScanResult> {
  const size = await file.size();
  const gaps: Gap[] = [];
  // One for all: a garbage collector is in no hurry with large buffers.
  const scratch = Buffer.allocUnsafeSlow(windowBytes);
  let window: Buffer = scratch.subarray(0, 0);
  let base = start;
  /** Makes `length` octets from `offset` available; false when the file is shorter. */
  const need = async (offset: number, length: number): Promise<boolean> => {
    if (offset + length > size) return false;
    if (offset >= base && offset + length <= base + window.length) return true;
    window = await file.read(offset, Math.min(Math.max(windowBytes, length), size - offset), scratch);
    base = offset;
    return window.length >= length;
  };

  let at = start;
  let soundEnd = start;
  /** Start of the unsound stretch under way. */
  let unsound: number | undefined;
  let short = false;
  while (at < size) {
    const header = (await need(at, recordHeaderBytes))
      ? decodeRecordHeader(window, at - base, { salt, offset: at })
      : undefined;
    if (header === undefined) {
      short = unsound === undefined && size - at < recordHeaderBytes;
      unsound ??= at;
      at = await findMarker(at + 1);
      continue;
    }
    const length = sizeOfRecord(header);
    if (!(await need(at, length))) {
      // Cut short by the end of the file, or a length that nobody wrote: look on behind the header.
      short = unsound === undefined;
      unsound ??= at;
      at = await findMarker(at + recordHeaderBytes);
      continue;
    }
    if (!isIntact(window, at - base, header, salt)) {
      // Its header is sound, so the length is: a record inside a damaged body must not be found.
      unsound ??= at;
      short = false;
      at += length;
      continue;
    }
    if (unsound !== undefined) gaps.push({ offset: unsound, sizeBytes: at - unsound });
    unsound = undefined;
    const head = at - base + recordHeaderBytes;
    onRecord({ offset: at, header, head: window.subarray(head, head + header.headBytes) });
    at += length;
    soundEnd = at;
  }
  const tail = size > soundEnd ? { offset: soundEnd, sizeBytes: size - soundEnd, short } : undefined;
  return { soundEnd, gaps, tail };

  async function findMarker(from: number): Promise<number> {
    for (let offset = from; offset + marker.length <= size;) {
      if (!(await need(offset, Math.min(recordHeaderBytes, size - offset)))) break;
      const found = window.indexOf(marker, offset - base);
      if (found >= 0) return base + found;
      offset = Math.max(offset + 1, base + window.length - marker.length + 1);
    }
    return size;
  }
}
