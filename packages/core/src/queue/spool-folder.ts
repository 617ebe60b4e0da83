/**
 * Large contents, a file each: written and made durable, name and all, before the record that speaks of them. A file nobody
 * speaks of is no message.
 */
import { crc32 } from "node:zlib";
import { PosternError } from "../errors.ts";
import { type Blob, clampRange } from "../message/blob.ts";
import type { SpoolFiles } from "../message/spool-file.ts";
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";
import { IncomingFile, incomingSuffix } from "./incoming-file.ts";
import type { SpoolReference } from "./segment-format.ts";
import { storeError } from "./store-error.ts";

const pieceBytes = 256 * 1024;

/** What of a content goes where. */
export interface SpooledParts {
  readonly spool: SpoolReference;
  /** Before what the file holds: for the record's body. */
  readonly head: readonly Buffer[];
}

export class SpoolFolder implements SpoolFiles {
  readonly folder: string;
  readonly #port: FilePort;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #created = 0;

  constructor(folder: string, port: FilePort) {
    this.folder = folder;
    this.#port = port;
  }

  /** A file for a content that is to be committed with `keep`. */
  async create(): Promise<IncomingFile> {
    this.#created += 1;
    const path = `${this.folder}/${this.#created}${incomingSuffix}`;
    return new IncomingFile(this.#port, await this.#port.open(path, "create"), path);
  }

  /** Resolves when content and name are durable. Leaves nothing behind when it fails. */
  async keep(id: string, content: Blob): Promise<SpooledParts> {
    const { head, tail } = content;
    // One of another store is copied: it may be on another disk, and taking it away would be made durable there only.
    if (head !== undefined && tail?.file instanceof IncomingFile && !tail.file.adopted && tail.file.isIn(this.folder)) {
      return { head, spool: await this.#adopt(id, tail.file, tail.from) };
    }
    return { head: [], spool: await this.#write(id, content) };
  }

  async #adopt(id: string, incoming: IncomingFile, from: number): Promise<SpoolReference> {
    const file = `${id}.body`;
    await incoming.adopt(`${this.folder}/${file}`);
    try {
      await this.#syncFolder();
    } catch (error) {
      await this.remove(file);
      throw error;
    }
    const { bytes, crc } = incoming;
    return { file, bytes, crc, ...(from === 0 ? {} : { from }) };
  }

  async #write(id: string, content: Blob): Promise<SpoolReference> {
    const file = `${id}.body`;
    const path = `${this.folder}/${file}`;
    const handle = await this.#port.open(path, "create");
    try {
      const { bytes, crc } = await copy(content, handle);
      await handle.sync();
      await handle.close();
      await this.#syncFolder();
      return { file, bytes, crc };
    } catch (error) {
      await handle.close().catch(() => undefined);
      await this.remove(file);
      throw error;
    }
  }

  read({ file, bytes, crc, from = 0 }: SpoolReference): Blob {
    return new SpooledBlob(this.#port, { path: `${this.folder}/${file}`, bytes, crc, from }, from, bytes);
  }

  /** Best effort: what stays is found at the next start. */
  remove(file: string): Promise<void> {
    return this.#port.unlink(`${this.folder}/${file}`).catch(() => undefined);
  }

  /** One folder sync serves all that asked before it began. */
  #syncFolder(): Promise<void> {
    const sync = () => this.#port.syncFolder(this.folder);
    if (this.#syncing === undefined) {
      this.#syncing = sync().finally(() => {
        this.#syncing = undefined;
      });
      return this.#syncing;
    }
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = undefined;
        return this.#syncFolder();
      });
    return this.#nextSync;
  }
}

async function copy(content: Blob, to: PortFile): Promise<{ bytes: number; crc: number }> {
  let bytes = 0;
  let crc = 0;
  for await (const chunk of content.read()) {
    await writeAll(to, [chunk], bytes);
    bytes += chunk.length;
    crc = crc32(chunk, crc);
  }
  return { bytes, crc };
}

interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
  readonly crc: number;
  /** Where the content begins in it. */
  readonly from: number;
}

/**
 * A range of a spool file. Read from where the content begins to the end, it throws before its last piece when the file's octets are not
 * those that were written.
 */
class SpooledBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly #port: FilePort;
  readonly #written: WrittenFile;
  readonly #start: number;

  constructor(port: FilePort, written: WrittenFile, start: number, end: number) {
    this.#port = port;
    this.#written = written;
    this.#start = start;
    this.sizeBytes = end - start;
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    const range = clampRange(this.sizeBytes, from, to);
    const start = this.#start + range.start;
    const end = this.#start + range.end;
    if (start === end) return;
    const { path, bytes, crc: written, from: contentStart } = this.#written;
    const whole = start === contentStart && end === bytes;
    const file = await this.#port.open(path, "read").catch(fail);
    try {
      let crc = whole ? await crcUpTo(file, contentStart) : 0;
      for (let at = start; at < end;) {
        const piece = await file.read(at, Math.min(pieceBytes, end - at)).catch(fail);
        if (piece.length === 0) throw damaged();
        at += piece.length;
        if (whole) crc = crc32(piece, crc);
        if (whole && at === bytes && crc !== written) throw damaged();
        yield piece;
      }
    } finally {
      await file.close();
    }
  }

  slice(from: number, to?: number): Blob {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    return new SpooledBlob(this.#port, this.#written, this.#start + start, this.#start + end);
  }
}

/** The octets before the content count for the checksum. */
async function crcUpTo(file: PortFile, end: number): Promise<number> {
  let crc = 0;
  for (let at = 0; at < end;) {
    const piece = await file.read(at, Math.min(pieceBytes, end - at)).catch(fail);
    if (piece.length === 0) throw damaged();
    at += piece.length;
    crc = crc32(piece, crc);
  }
  return crc;
}

function damaged(): PosternError {
  return new PosternError("STORE_DAMAGED", "a spooled content is not what was written");
}

function fail(cause: unknown): never {
  throw storeError("read a spooled content", cause);
}
