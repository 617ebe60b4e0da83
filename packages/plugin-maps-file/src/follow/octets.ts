/**
 * The octets of a database file, held in memory or read where they are asked for. Both answer at once: what is not held
 * comes from the kernel's page cache, which is where Postfix's mapped files are too.
 */
import { constants, readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { BrokenFile } from "./broken-file.ts";

/** Larger files stay in the page cache: 64 MiB are about a million addresses. A lookup there costs some system calls. */
export const heldLimitBytes = 64 * 2 ** 20;

/** Read at once when a file is taken into memory, so that no other work waits long for the copying. */
const chunkBytes = 2 ** 20;

/** No record or page is longer: a damaged length takes no memory. */
const longestReadBytes = 16 * 2 ** 20;

export interface Octets {
  readonly size: number;
  /** Where `at` made octets readable. */
  readonly buffer: Buffer;
  /**
   * Makes `length` octets from `position` on readable in `buffer` and says where they begin there; they stay until the next
   * call. Throws `BrokenFile` when the file has not so many.
   */
  at(position: number, length: number): number;
  close(): void;
}

export class HeldOctets implements Octets {
  readonly buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  get size(): number {
    return this.buffer.length;
  }

  at(position: number, length: number): number {
    if (position + length > this.buffer.length) throw new BrokenFile("it points behind its end");
    return position;
  }

  close(): void {}
}

export class FileOctets implements Octets {
  readonly size: number;
  buffer: Buffer = Buffer.allocUnsafeSlow(8192);
  readonly #file: FileHandle;

  /** Takes the handle over. */
  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.size = size;
  }

  at(position: number, length: number): number {
    if (position + length > this.size || length > longestReadBytes) throw new BrokenFile("it points behind its end");
    if (length > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(length);
    for (let read = 0; read < length;) {
      const more = readSync(this.#file.fd, this.buffer, read, length - read, position + read);
      if (more === 0) throw new BrokenFile("it was cut short");
      read += more;
    }
    return 0;
  }

  close(): void {
    // Nothing was written: there is nothing to hear of a failure.
    this.#file.close().catch(() => undefined);
  }
}

/** Reads `size` octets from the file's begin, in pieces. Throws `BrokenFile` when it has fewer. */
export async function readHead(file: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(size);
  for (let read = 0; read < size;) {
    const { bytesRead } = await file.read(buffer, read, Math.min(size - read, chunkBytes), read);
    if (bytesRead === 0) throw new BrokenFile("it was cut short");
    read += bytesRead;
  }
  return buffer;
}

/** Opens a regular file. Throws `BrokenFile` for anything else; a pipe in its place makes nobody wait. */
export async function openRegular(path: string): Promise<{ file: FileHandle; size: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new BrokenFile("it is no file");
    return { file, size: stats.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * How the key in the first `length` octets of `key` stands to the octets from `start` to `end`: negative, 0 or positive, octet by
 * octet, the shorter first. For keys of a few dozen octets this is several times quicker than Buffer.compare with its checks.
 */
export function compareKey(key: Buffer, length: number, buffer: Buffer, start: number, end: number): number {
  const common = Math.min(length, end - start);
  for (let at = 0; at < common; at++) {
    const difference = (key[at] as number) - (buffer[start + at] as number);
    if (difference !== 0) return difference;
  }
  return length - (end - start);
}
