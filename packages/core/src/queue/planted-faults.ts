/** Mistakes a store could make, planted between it and the disk, to prove that the simulation finds them. */
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
});

/** The file with some of its calls changed. */
function fileOver(file: PortFile, changes: Partial<PortFile>): PortFile {
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

function portOver(port: FilePort, changes: Partial<FilePort>): FilePort {
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
