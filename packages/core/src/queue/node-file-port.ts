/**
 * The file port on the real file system: bare descriptors and callbacks, one promise a call. The lock is SQLite's on an empty
 * database: POSIX locks that the kernel takes back when the process ends, so that neither a reused pid nor a container's own pids can
 * make a dead process look alive.
 */
import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { FileLock, FilePort, PortFile } from "./file-port.ts";

export const nodeFilePort: FilePort = Object.freeze({
  open: async (path, mode) => {
    const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
    const flags = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT | O_EXCL }[mode] | O_NOFOLLOW;
    return new NodeFile(await call<number>((done) => fs.open(path, flags, 0o600, done)));
  },
  list: (folder) => call<string[]>((done) => fs.readdir(folder, done)),
  makeFolder: (path) => call<void>((done) => fs.mkdir(path, 0o700, (error) => done(error))),
  rename: (from, to) => call<void>((done) => fs.rename(from, to, done)),
  unlink: (path) => call<void>((done) => fs.unlink(path, done)),
  syncFolder: async (path) => {
    const fd = await call<number>((done) => fs.open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY, done));
    try {
      await call<void>((done) => fs.fsync(fd, done));
    } finally {
      fs.closeSync(fd);
    }
  },
  free: async (path) => {
    const { bavail, bsize } = await call<fs.StatsFs>((done) => fs.statfs(path, done));
    return bavail * bsize;
  },
  lock: takeLock,
} satisfies FilePort);

class NodeFile implements PortFile {
  readonly #fd: number;
  #underWay = 0;
  #closed: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(chunks: readonly Buffer[], position: number): Promise<number> {
    return this.#call<number>((done) => fs.writev(this.#fd, chunks, position, done));
  }

  async read(position: number, length: number, into?: Buffer): Promise<Buffer> {
    const buffer = into !== undefined && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const from = filled;
      const read = await this.#call<number>((done) =>
        fs.read(this.#fd, buffer, from, length - from, position + from, done),
      );
      if (read === 0) break;
      filled += read;
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  sync(): Promise<void> {
    return this.#call<void>((done) => fs.fdatasync(this.#fd, done));
  }

  truncate(size: number): Promise<void> {
    return this.#call<void>((done) => fs.ftruncate(this.#fd, size, done));
  }

  async size(): Promise<number> {
    return (await this.#call<fs.Stats>((done) => fs.fstat(this.#fd, done))).size;
  }

  close(): Promise<void> {
    // A descriptor closed under a call might be another file's by the time the call is made.
    this.#closed ??= new Promise<void>((resolve) => {
      this.#idle = resolve;
      if (this.#underWay === 0) resolve();
    }).then(() => call<void>((done) => fs.close(this.#fd, done)));
    return this.#closed;
  }

  #call<T>(start: (done: Done<T>) => void): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(new Error("the file is closed"));
    this.#underWay += 1;
    return call<T>((done) =>
      start((error, value) => {
        this.#underWay -= 1;
        if (this.#underWay === 0) this.#idle?.();
        done(error, value);
      }),
    );
  }
}

type Done<T> = (error: Error | null, value?: T) => void;

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)));
  });
}

function takeLock(path: string): FileLock | undefined {
  // SQLite makes 0644 less the umask; the folder is 0700, and the file stays empty.
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    const busy = 5;
    if ((error as { errcode?: number }).errcode === busy) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}
