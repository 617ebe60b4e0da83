/**
 * From files to an index: takes what a checkpoint knows, reads the segments behind it in order and applies what their records say. Damage costs the records it hits and no
 * other; its octets are kept aside. The torn end of the newest segment is cut.
 */
import { type Restored, restoreCheckpoint } from "./checkpoint-restore.ts";
import type { FilePort } from "./file-port.ts";
import type { QueueFolders } from "./queue-folders.ts";
import { landNote, pendingNote, QueueIndex, replaceNote, type Segment } from "./queue-index.ts";
import { ownNotes } from "./settled-notes.ts";
import type { SalvageFolder } from "./salvage-folder.ts";
import {
  decodeRecordHeader,
  decodeSegmentHeader,
  type DiscardHead,
  isIntact,
  type MessageHead,
  parseSegmentName,
  recordHeaderBytes,
  recordKinds,
  type RemoveHead,
  type ScheduleHead,
  type SegmentHeader,
  segmentHeaderBytes,
  type SettledHead,
  sizeOfRecord,
} from "./segment-format.ts";
import { type Gap, type ScannedRecord, type ScanResult, scanSegment } from "./segment-scan.ts";
import type { Damage } from "./store.ts";
import { PosternError } from "../errors.ts";

export interface Replayed {
  /** In order; all but those that held nothing. */
  readonly segments: readonly Segment[];
  readonly index: QueueIndex;
  readonly damage: readonly Damage[];
  /** To be said again: ends that could not be cut. */
  readonly discards: readonly DiscardHead[];
  /** The highest number there ever was, as far as the folder knows. */
  readonly lastNumber: number;
  /** The checkpoint that was used. */
  readonly checkpoint: Pick<Restored, "covered" | "sizeBytes"> | undefined;
}

interface Found {
  readonly segment: Segment;
  readonly header: SegmentHeader | undefined;
  readonly discards: readonly DiscardHead[];
}

export async function replay(
  { log: folder, checkpoint }: Pick<QueueFolders, "log" | "checkpoint">,
  port: FilePort,
  salvage: SalvageFolder,
): Promise<Replayed> {
  const found = await findSegments(folder, port);
  const restored = await restoreCheckpoint(
    checkpoint,
    port,
    found.map(({ segment }) => segment),
  );
  const covered = restored?.covered ?? { segment: 0, offset: 0 };
  const discardedFrom = new Map<number, number>();
  for (const { discards } of found) for (const { segment, from } of discards) discardedFrom.set(segment, from);
  const index = restored?.index ?? new QueueIndex();
  const damage: Damage[] = [...missingSegments(found, folder, discardedFrom)];
  const discards: DiscardHead[] = [];
  const segments: Segment[] = [];
  for (const [at, { segment, header }] of found.entries()) {
    const end = discardedFrom.get(segment.number) ?? Infinity;
    const newest = at === found.length - 1;
    if (header === undefined && !newest) damage.push(headerDamage(segment));
    if (segment.number < covered.segment) {
      segments.push(segment);
      continue;
    }
    const gaps: Gap[] = [];
    const start = segment.number === covered.segment ? covered.offset : segmentHeaderBytes;
    const scan = await scanSegment(segment.file, segment.salt, start, (record) => {
      if (record.offset >= end) return;
      try {
        apply(index, segment, record);
      } catch {
        // Whole, and yet not what this code would write: as unreadable as damage, and as little reason to stop.
        gaps.push({ offset: record.offset, sizeBytes: sizeOfRecord(record.header) });
      }
    });
    gaps.push(...scan.gaps);
    segment.size = Math.min(scan.soundEnd, Math.max(end, segmentHeaderBytes));
    if (scan.tail !== undefined && scan.tail.offset < end) {
      if (!newest || (await cutTail(segment, scan.tail, salvage, damage))) {
        if (!newest) gaps.push(scan.tail);
      } else discards.push({ segment: segment.number, from: scan.soundEnd });
    }
    for (const gap of gaps)
      if (gap.offset < end)
        damage.push(await keepGap(segment, gap, salvage, "records of the log are not what was written"));
    if (newest && isEmpty(scan) && (await removeEmpty(segment, port, folder))) continue;
    segments.push(segment);
  }
  const lastNumber = Math.max(found.at(-1)?.segment.number ?? 0, restored?.lastNumber ?? 0);
  return { segments, index, damage, discards, lastNumber, checkpoint: restored };
}

async function findSegments(folder: string, port: FilePort): Promise<readonly Found[]> {
  const names = (await port.list(folder)).flatMap((name) => {
    const parsed = parseSegmentName(name);
    return parsed === undefined ? [] : [{ name, ...parsed }];
  });
  names.sort((a, b) => a.number - b.number);
  const found: Found[] = [];
  for (const { name, number, salt } of names) {
    const path = `${folder}/${name}`;
    const file = await port.open(path, "write");
    const start = await file.read(0, 64 * 1024);
    const header = decodeSegmentHeader(start);
    if (header === "version") {
      throw new PosternError("STORE_UNAVAILABLE", `${path} was written by a newer version of Postern`, {
        temporary: false,
      });
    }
    const segment = { number, salt, path, file, size: segmentHeaderBytes, liveBytes: 0, liveMessages: 0 };
    found.push({ segment, header, discards: leadingDiscards(start, salt) });
  }
  return found;
}

/** They stand right behind the header, so that they are known before anything is applied. */
function leadingDiscards(start: Buffer, salt: number): readonly DiscardHead[] {
  const discards: DiscardHead[] = [];
  for (let at = segmentHeaderBytes; ;) {
    const header = decodeRecordHeader(start, at, { salt, offset: at });
    if (header?.kind !== recordKinds.discard || at + sizeOfRecord(header) > start.length) return discards;
    if (!isIntact(start, at, header, salt)) return discards;
    const head = at + recordHeaderBytes;
    discards.push(JSON.parse(start.toString("utf8", head, head + header.headBytes)) as DiscardHead);
    at += sizeOfRecord(header);
  }
}

function apply(index: QueueIndex, segment: Segment, { offset, header, head }: ScannedRecord): void {
  const { kind, headBytes, bodyBytes } = header;
  if (kind === recordKinds.message) {
    const { message, spool, schedule } = JSON.parse(head.toString()) as MessageHead;
    const nextAttemptAt = schedule?.nextAttemptAt ?? 0;
    index.put(message.id, { segment, offset, headBytes, bodyBytes, spooled: spool !== undefined, nextAttemptAt });
  } else if (kind === recordKinds.remove) {
    index.drop((JSON.parse(head.toString()) as RemoveHead).id);
  } else if (kind === recordKinds.settled) {
    const place = index.get((JSON.parse(head.toString()) as SettledHead).id);
    if (place === undefined) return;
    // A checkpoint written meanwhile may know it already.
    for (const known of place.settled) if (known.segment === segment && known.offset === offset) return;
    const note = pendingNote(undefined as never);
    landNote(note, segment, offset, headBytes);
    ownNotes(place).add(note);
  } else if (kind === recordKinds.schedule) {
    const { id, schedule } = JSON.parse(head.toString()) as ScheduleHead;
    const place = index.get(id);
    if (place === undefined) return;
    replaceNote(place.schedule);
    place.schedule = pendingNote(schedule);
    landNote(place.schedule, segment, offset, headBytes);
    place.nextAttemptAt = schedule.nextAttemptAt;
  }
}

/** Each segment names the one before it, so a lost file shows; those at the front are gone because nobody needed them. */
function missingSegments(found: readonly Found[], folder: string, discarded: ReadonlyMap<number, number>): Damage[] {
  const numbers = new Set(found.map(({ segment }) => segment.number));
  const oldest = found[0]?.segment.number ?? 0;
  return found.flatMap(({ header }) => {
    if (header === undefined || header.previous <= oldest || numbers.has(header.previous)) return [];
    if (discarded.get(header.previous) === 0) return [];
    const text = `segment ${header.previous} of the queue is not there`;
    return [{ where: folder, sizeBytes: 0, text, keptIn: undefined }];
  });
}

function headerDamage(segment: Segment): Damage {
  const text = "the segment's header is damaged; its records were read all the same";
  return { where: `${segment.path}:0`, sizeBytes: segmentHeaderBytes, text, keptIn: undefined };
}

/** Cuts what follows the last sound record. False when that could not be done. */
async function cutTail(
  segment: Segment,
  tail: NonNullable<ScanResult["tail"]>,
  salvage: SalvageFolder,
  damage: Damage[],
): Promise<boolean> {
  // What is all there but wrong was most likely never acknowledged. But a record that was, and was damaged since, looks the same.
  if (!tail.short) {
    const kept = await keepGap(segment, tail, salvage, "the log's end is torn, as after a power cut");
    damage.push(kept);
    if (kept.keptIn === undefined) return false;
  }
  try {
    await segment.file.truncate(tail.offset);
    await segment.file.sync();
    return true;
  } catch {
    return false;
  }
}

async function keepGap(segment: Segment, gap: Gap, salvage: SalvageFolder, text: string): Promise<Damage> {
  const name = `segment-${segment.number}-at-${gap.offset}`;
  return {
    where: `${segment.path}:${gap.offset}`,
    sizeBytes: gap.sizeBytes,
    text,
    keptIn: await salvage.keep(name, segment.file, gap.offset, gap.sizeBytes),
  };
}

function isEmpty(scan: ScanResult): boolean {
  return scan.soundEnd === segmentHeaderBytes && scan.gaps.length === 0;
}

/** Starts that wrote nothing leave no trace. */
async function removeEmpty(segment: Segment, port: FilePort, folder: string): Promise<boolean> {
  try {
    await port.unlink(segment.path);
    await port.syncFolder(folder);
  } catch {
    return false;
  }
  await segment.file.close();
  return true;
}
