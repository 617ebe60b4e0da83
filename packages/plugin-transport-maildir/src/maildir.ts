/**
 * One message into one Maildir (maildir(5)): written in `tmp`, on stable storage, then moved into `new`, and the folder on
 * stable storage too. A reader never sees half a message, and a crash leaves either all of it or a file in `tmp`.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Blob } from "@postern/core";

/** What is needed of node:fs, so that a test can let it fail. */
export interface FilePort {
  open(path: string, flags: string, mode?: number): Promise<OpenFile>;
  mkdir(path: string, options: { recursive: true; mode: number }): Promise<string | undefined>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

export interface OpenFile {
  writev(buffers: readonly Uint8Array[]): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFiles: FilePort = { open, mkdir, rename, unlink };

const subfolders = ["tmp", "new", "cur"] as const;
/** Buffers of one write; IOV_MAX is 1,024. */
const mostBuffers = 512;

/** `name` is unique in the Maildir. Rejects with what the file system says; then nothing is in `new`, unless its fsync failed. */
export async function writeToMaildir(
  files: FilePort,
  box: string,
  name: string,
  head: string,
  content: Blob,
): Promise<void> {
  const [from, to] = [join(box, "tmp", name), join(box, "new", name)];
  const file = await createIn(files, box, from);
  try {
    try {
      await writeAll(file, head, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await files.rename(from, to);
  } catch (error) {
    await files.unlink(from).catch(() => {});
    throw error;
  }
  await syncFolder(files, join(box, "new"));
}

/** The folders are there but for the first message. */
async function createIn(files: FilePort, box: string, path: string): Promise<OpenFile> {
  try {
    return await files.open(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await createFolders(files, box);
  return files.open(path, "wx", 0o600);
}

async function createFolders(files: FilePort, box: string): Promise<void> {
  let topmost: string | undefined;
  for (const subfolder of subfolders) {
    const made = await files.mkdir(join(box, subfolder), { recursive: true, mode: 0o700 });
    topmost ??= made;
  }
  if (topmost === undefined) return;
  // A new folder is there after a power cut only when the one above it was synced.
  const end = dirname(topmost);
  for (let folder = box; ; folder = dirname(folder)) {
    await syncFolder(files, folder);
    if (folder === end || folder === dirname(folder)) return;
  }
}

async function writeAll(file: OpenFile, head: string, content: Blob): Promise<void> {
  let buffers: Buffer[] = [Buffer.from(head)];
  for await (const chunk of content.chunks ?? content.read()) {
    buffers.push(chunk);
    if (content.chunks !== undefined && buffers.length < mostBuffers) continue;
    await writeBuffers(file, buffers);
    buffers = [];
  }
  if (buffers.length > 0) await writeBuffers(file, buffers);
}

/** A write may be short, on a disk that is nearly full above all. */
async function writeBuffers(file: OpenFile, buffers: readonly Buffer[]): Promise<void> {
  let left = buffers.filter(({ length }) => length > 0);
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left);
    const rest: Buffer[] = [];
    for (const buffer of left) {
      if (bytesWritten < buffer.length) rest.push(buffer.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - buffer.length);
    }
    left = rest;
  }
}

async function syncFolder(files: FilePort, folder: string): Promise<void> {
  const handle = await files.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** `1700000000.M123456P4711Q9R0123456789abcdef.host`: time, process, count, and chance for clocks and processes that repeat. */
export function createNameSource(now: () => number, hostname: string, pid: number = process.pid): () => string {
  const host = hostname.replaceAll("/", "\\057").replaceAll(":", "\\072");
  let count = 0;
  return () => {
    const ms = now();
    count += 1;
    const micros = String((ms % 1000) * 1000).padStart(6, "0");
    return `${Math.floor(ms / 1000)}.M${micros}P${pid}Q${count}R${randomBytes(8).toString("hex")}.${host}`;
  };
}
