/** Files beneath spools: who makes them decides where they lie and what becomes of them. */
import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";

/** Octets of a message on their way in. One call at a time; errors are the system's. */
export interface SpoolFile {
  /** Behind what was appended before; resolves when the octets are with the system. */
  append(chunks: readonly Buffer[]): Promise<void>;
  /** Up to `length` octets from `position`; fewer only at the end. */
  read(position: number, length: number): Promise<Buffer>;
  /** Lets go of the file, and of its octets unless somebody has made them theirs. */
  dispose(): Promise<void>;
}

export interface SpoolFiles {
  create(): Promise<SpoolFile>;
}

/** Files without a name in a folder that only we may read: nothing is left behind whatever ends the process. */
export function createNamelessFiles(directory: string): SpoolFiles {
  return Object.freeze({ create: async () => new NamelessFile(await openNameless(directory)) });
}

class NamelessFile implements SpoolFile {
  readonly #handle: FileHandle;
  #position = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async append(chunks: readonly Buffer[]): Promise<void> {
    let rest = chunks;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, this.#position);
      this.#position += bytesWritten;
      rest = withoutLeading(rest, bytesWritten);
    }
  }

  async read(position: number, length: number): Promise<Buffer> {
    const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  }

  dispose(): Promise<void> {
    return this.#handle.close();
  }
}

async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, `incoming-${randomUUID()}`);
  const handle = await open(path, "wx+", 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

/** A write may be short; an empty one on a full disk comes back as an error the next time. */
function withoutLeading(chunks: readonly Buffer[], octets: number): readonly Buffer[] {
  let skipped = 0;
  let at = 0;
  for (; at < chunks.length; at++) {
    const length = chunks[at]?.length ?? 0;
    if (skipped + length > octets) break;
    skipped += length;
  }
  const first = chunks[at];
  return first === undefined ? [] : [first.subarray(octets - skipped), ...chunks.slice(at + 1)];
}
