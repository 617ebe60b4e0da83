/**
 * An index from a checkpoint, if it and the log belong together. The log may be longer than it was, and shorter at the front: whatever was
 * in a segment that compaction has taken away since is gone, or said again behind the place that the checkpoint covers. If
 * anything else is missing or not as the checkpoint knows it, the whole log is read.
 */
import type { NumberedPlace } from "./checkpoint-format.ts";
import { readCheckpoint } from "./checkpoint-reader.ts";
import type { FilePort } from "./file-port.ts";
import { type LogPosition, pendingNote, QueueIndex, type Segment } from "./queue-index.ts";
import { nothingSettled, SettledNotes } from "./settled-notes.ts";
import { segmentHeaderBytes } from "./segment-format.ts";

export interface Restored {
  readonly index: QueueIndex;
  /** The log is to be read from here. */
  readonly covered: LogPosition;
  readonly lastNumber: number;
  readonly sizeBytes: number;
}

/** Sets the sizes of the segments that need not be read. Never rejects. */
export async function restoreCheckpoint(
  path: string,
  port: FilePort,
  found: readonly Segment[],
): Promise<Restored | undefined> {
  try {
    const file = await port.open(path, "read");
    try {
      const sizeBytes = await file.size();
      const sizes = new Map<number, number>();
      for (const segment of found) sizes.set(segment.number, await segment.file.size());
      const byNumber = new Map(found.map((segment) => [segment.number, segment]));
      const index = new QueueIndex();
      let lastNumber = 0;
      let covers: readonly (readonly [Segment, number])[] = [];
      const covered = await readCheckpoint(file, {
        segments(listed, at) {
          lastNumber = listed.reduce((last, { number }) => Math.max(last, number), at.segment);
          const numbers = new Set(listed.map(({ number }) => number));
          const oldest = found[0]?.number ?? Infinity;
          covers = listed.flatMap(({ number, size }) => {
            const segment = byNumber.get(number);
            return segment === undefined ? [] : [[segment, size] as const];
          });
          return (
            listed.every(({ number, salt, size }) => {
              const segment = byNumber.get(number);
              // Taken by compaction, from the front; or it held nothing and the start after took it away.
              if (segment === undefined) return number < oldest || size <= segmentHeaderBytes;
              return segment.salt === salt && (sizes.get(number) ?? 0) >= size;
            }) && found.every(({ number }) => number > at.segment || numbers.has(number))
          );
        },
        message({ id, segment: number, offset, headBytes, bodyBytes, spooled, nextAttemptAt, schedule, settled }) {
          const segment = byNumber.get(number);
          if (segment === undefined) return;
          index.drop(id);
          const note = (at: NumberedPlace) => {
            const noted = byNumber.get(at.segment);
            return noted === undefined
              ? []
              : [{ ...pendingNote(undefined as never), segment: noted, offset: at.offset, headBytes: at.headBytes }];
          };
          index.restore(id, {
            segment,
            offset,
            headBytes,
            bodyBytes,
            spooled,
            nextAttemptAt,
            schedule: schedule && note(schedule)[0],
            settled: settled.length === 0 ? nothingSettled : new SettledNotes(settled.flatMap(note)),
          });
        },
      });
      if (covered === undefined) {
        for (const segment of found) Object.assign(segment, { liveBytes: 0, liveMessages: 0 });
        return undefined;
      }
      for (const [segment, size] of covers) segment.size = size;
      return { index, covered, lastNumber, sizeBytes };
    } finally {
      await file.close();
    }
  } catch {
    for (const segment of found) Object.assign(segment, { liveBytes: 0, liveMessages: 0 });
    return undefined;
  }
}
