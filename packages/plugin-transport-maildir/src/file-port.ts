/** What is needed of node:fs, so that a test can let it fail. */
import { mkdir, open, rename, unlink } from "node:fs/promises";

export interface FilePort {
  open(path: string, flags: string, mode?: number): Promise<OpenFile>;
  mkdir(path: string, options: { recursive: true; mode: number }): Promise<string | undefined>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

export interface OpenFile {
  writev(buffers: readonly Uint8Array[]): Promise<{ bytesWritten: number }>;
  /** Octets and size; names are made durable by `sync` of their folder. */
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFiles: FilePort = { open, mkdir, rename, unlink };

/** Makes names in a folder durable. */
export async function syncFolder(files: FilePort, folder: string): Promise<void> {
  const handle = await files.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A write may be short, on a disk that is nearly full above all. */
export async function writeBuffers(file: OpenFile, buffers: readonly Buffer[]): Promise<void> {
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
