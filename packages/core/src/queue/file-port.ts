/**
 * All I/O of the segment store. Small, so that a port in memory can drop, tear and reorder what was not synced, and fail where
 * it pleases. Errors are the system's, with `code` (ENOSPC, EIO, …); whoever calls gives them their meaning.
 */

export interface PortFile {
  /** Writes at `position`; the number of octets written, which may be fewer than given. */
  write(chunks: readonly Buffer[], position: number): Promise<number>;
  /** Up to `length` octets from `position`; fewer only at the end of the file. `into`, if it is large enough, may be used for them. */
  read(position: number, length: number, into?: Buffer): Promise<Buffer>;
  /** fdatasync. After a failure the octets written since the last success are lost or not, and no further call can tell. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

export interface FileLock {
  release(): void;
}

export interface FilePort {
  /** `read` and `write` want the file to exist, `create` wants it not to; it is 0600 then, and durable only after `syncFolder`. */
  open(path: string, mode: "read" | "write" | "create"): Promise<PortFile>;
  /** Names in a folder, in no order. ENOENT when there is none. */
  list(folder: string): Promise<string[]>;
  /** Makes a folder, 0700. EEXIST when there is something of that name. */
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes names in a folder durable: files created, renamed, unlinked. */
  syncFolder(path: string): Promise<void>;
  /** Octets free for us on the file system of that folder. */
  free(path: string): Promise<number>;
  /** Holds `path` as long as the process lives, however it ends. `undefined` when somebody living holds it, in this process or another. */
  lock(path: string): FileLock | undefined;
}

/** Writes everything, or rejects. */
export async function writeAll(file: PortFile, chunks: readonly Buffer[], position: number): Promise<void> {
  // The system takes 1,024 pieces a call.
  for (let first = 0, at = position; first < chunks.length; first += 1000) {
    let rest = chunks.length <= 1000 ? chunks : chunks.slice(first, first + 1000);
    while (rest.length > 0) {
      const written = await file.write(rest, at);
      at += written;
      rest = after(rest, written);
    }
  }
}

function after(chunks: readonly Buffer[], octets: number): readonly Buffer[] {
  let skip = octets;
  for (const [at, chunk] of chunks.entries()) {
    if (skip < chunk.length) return [chunk.subarray(skip), ...chunks.slice(at + 1)];
    skip -= chunk.length;
  }
  return [];
}
