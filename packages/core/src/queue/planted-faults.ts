/** Mistakes a store could make, planted between it and the disk, to prove that the simulation finds them. */
import type { CheckpointedMessage, ListedSegment, NumberedPlace } from "./checkpoint-format.ts";
import { readCheckpoint } from "./checkpoint-reader.ts";
import { writeCheckpoint } from "./checkpointing.ts";
import type { LogPosition, Place, Segment } from "./queue-index.ts";
import { SettledNotes } from "./settled-notes.ts";
import type { FilePort, PortFile } from "./file-port.ts";
import { marker, recordHeaderBytes, recordKinds } from "./segment-format.ts";

export type Planted = (port: FilePort) => FilePort;

/** So many seeds find each of them. */
export const plantedSeeds = 1000;

const always = async (): Promise<void> => undefined;

export const plantedFaults: Readonly<Record<string, Planted>> = Object.freeze({
  "250 before fsync": (port) =>
    withFiles(port, (path, file) => (isLog(path) ? fileOver(file, { sync: always }) : file)),
  "a failed fsync believed": (port) =>
    withFiles(port, (path, file) => (isLog(path) ? fileOver(file, { sync: () => file.sync().catch(always) }) : file)),
  "a failed fsync tried again": (port) =>
    withFiles(port, (path, file) =>
      isLog(path) ? fileOver(file, { sync: () => file.sync().catch(() => file.sync()) }) : file,
    ),
  "a new segment without folder fsync": (port) =>
    portOver(port, { syncFolder: (folder) => (folder.endsWith("/log") ? always() : port.syncFolder(folder)) }),
  "a spool file without fsync": (port) =>
    withFiles(port, (path, file) => (isLog(path) ? file : fileOver(file, { sync: always }))),
  "a spool file without folder fsync": (port) =>
    portOver(port, { syncFolder: (folder) => (folder.endsWith("/spool") ? always() : port.syncFolder(folder)) }),
  "short writes believed": (port) =>
    withFiles(port, (_path, file) =>
      fileOver(file, {
        write: async (chunks, position) => {
          await file.write(chunks, position);
          return chunks.reduce((sum, { length }) => sum + length, 0);
        },
      }),
    ),
  "an outcome not written": (port) => withoutRecords(port, (kind) => kind === recordKinds.settled),
  "a removal not written": (port) => withoutRecords(port, (kind) => kind === recordKinds.remove),
  "compaction that drops a live record": (port) => {
    const seen = new Set<string>();
    return withoutRecords(port, (kind, head) => {
      if (kind !== recordKinds.message) return false;
      const { id } = (JSON.parse(head) as { message: { id: string } }).message;
      return seen.size === seen.add(id).size;
    });
  },
  "a checkpoint without one of its messages": (port) =>
    withCheckpoint(port, ({ messages, ...all }) => ({ ...all, messages: messages.slice(1) })),
  "a checkpoint without outcomes": (port) =>
    withCheckpoint(port, ({ messages, ...all }) => ({
      ...all,
      messages: messages.map((message) => ({ ...message, settled: [] })),
    })),
  "a checkpoint that keeps what was removed": (port) => {
    const ever = new Map<string, CheckpointedMessage>();
    return withCheckpoint(port, ({ messages, ...all }) => {
      for (const message of messages) ever.set(message.id, message);
      return { ...all, messages: [...ever.values()] };
    });
  },
  "a checkpoint that covers what it does not hold": (port) =>
    withCheckpoint(port, ({ covered, ...all }) => ({ ...all, covered: { segment: covered.segment + 1, offset: 0 } })),
});

interface Checkpoint {
  readonly covered: LogPosition;
  readonly listed: readonly ListedSegment[];
  readonly messages: readonly CheckpointedMessage[];
}

/** Every checkpoint is another one, and sound. */
function withCheckpoint(port: FilePort, change: (checkpoint: Checkpoint) => Checkpoint): FilePort {
  return portOver(port, {
    rename: async (from, to) => {
      if (to.endsWith("/checkpoint")) await rewriteCheckpoint(port, from, change);
      return port.rename(from, to);
    },
  });
}

async function rewriteCheckpoint(
  port: FilePort,
  path: string,
  change: (checkpoint: Checkpoint) => Checkpoint,
): Promise<void> {
  let listed: readonly ListedSegment[] = [];
  const messages: CheckpointedMessage[] = [];
  const file = await port.open(path, "write");
  const covered = await readCheckpoint(file, {
    segments: (all) => {
      listed = all;
      return true;
    },
    message: (message) => void messages.push(message),
  });
  if (covered === undefined) return;
  const changed = change({ covered, listed, messages });
  const all = changed.messages.map((message) => [message.id, placeOf(message)] as const);
  await file.truncate(0);
  await writeCheckpoint(file, changed.covered, changed.listed, { all: () => all.values() });
  await file.sync();
}

function placeOf({ segment, schedule, settled, ...rest }: CheckpointedMessage): Place {
  const numbered = (number: number) => ({ number }) as Segment;
  const note = (at: NumberedPlace) => ({ ...at, value: undefined, segment: numbered(at.segment) });
  return {
    ...rest,
    segment: numbered(segment),
    schedule: schedule && note(schedule),
    settled: new SettledNotes(settled.map(note)),
    removal: undefined,
    held: 0,
  };
}

/** The file with some of its calls changed. */
export function fileOver(file: PortFile, changes: Partial<PortFile>): PortFile {
  return {
    write: (chunks, position) => file.write(chunks, position),
    read: (position, length) => file.read(position, length),
    sync: () => file.sync(),
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
    ...changes,
  };
}

/** The port with some of its calls changed. */
export function portOver(port: FilePort, changes: Partial<FilePort>): FilePort {
  return {
    open: (path, mode) => port.open(path, mode),
    list: (folder) => port.list(folder),
    makeFolder: (path) => port.makeFolder(path),
    rename: (from, to) => port.rename(from, to),
    unlink: (path) => port.unlink(path),
    syncFolder: (path) => port.syncFolder(path),
    free: (path) => port.free(path),
    lock: (path) => port.lock(path),
    ...changes,
  };
}

function withFiles(port: FilePort, wrap: (path: string, file: PortFile) => PortFile): FilePort {
  return portOver(port, { open: async (path, mode) => wrap(path, await port.open(path, mode)) });
}

/** Writes nothing but zeros where a chosen record should be. */
function withoutRecords(port: FilePort, chosen: (kind: number, head: string) => boolean): FilePort {
  return withFiles(port, (_path, file) =>
    fileOver(file, {
      write: (chunks, position) => {
        const written = chunks.map((chunk) => {
          if (!chunk.subarray(0, marker.length).equals(marker)) return chunk;
          return chosen(chunk.readUInt8(4), chunk.toString("utf8", recordHeaderBytes))
            ? Buffer.alloc(chunk.length)
            : chunk;
        });
        return file.write(written, position);
      },
    }),
  );
}

function isLog(path: string): boolean {
  return path.endsWith(".log");
}
