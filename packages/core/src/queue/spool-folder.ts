/**
 * Large contents, a file each: written and made durable, name and all, before the record that speaks of them. A file nobody
 * speaks of is no message.
 */
import { crc32 } from "node:zlib";
import { PosternError } from "../errors.ts";
import { type Blob, clampRange } from "../message/blob.ts";
import { type FilePort, type PortFile, writeAll } from "./file-port.ts";
import type { SpoolReference } from "./segment-format.ts";
import { storeError } from "./store-error.ts";

const pieceBytes = 64 * 1024;

export class SpoolFolder {
  readonly folder: string;
  readonly #port: FilePort;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(folder: string, port: FilePort) {
    this.folder = folder;
    this.#port = port;
  }

  /** Resolves when content and name are durable. Leaves nothing behind when it fails. */
  async write(id: string, content: Blob): Promise<SpoolReference> {
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

  read({ file, bytes, crc }: SpoolReference): Blob {
    return new SpooledBlob(this.#port, `${this.folder}/${file}`, crc, bytes, 0, bytes);
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

/** A range of a spool file. Read from end to end, it throws before its last piece when the octets are not those that were written. */
class SpooledBlob implements Blob {
  readonly chunks = undefined;
  readonly sizeBytes: number;
  readonly #port: FilePort;
  readonly #path: string;
  readonly #crc: number;
  readonly #fileBytes: number;
  readonly #start: number;

  constructor(port: FilePort, path: string, crc: number, fileBytes: number, start: number, end: number) {
    this.#port = port;
    this.#path = path;
    this.#crc = crc;
    this.#fileBytes = fileBytes;
    this.#start = start;
    this.sizeBytes = end - start;
  }

  async *read(from?: number, to?: number): AsyncGenerator<Buffer> {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    if (start === end) return;
    const whole = end - start === this.#fileBytes;
    const file = await this.#port.open(this.#path, "read").catch(fail);
    try {
      let crc = 0;
      for (let at = this.#start + start; at < this.#start + end;) {
        const piece = await file.read(at, Math.min(pieceBytes, this.#start + end - at)).catch(fail);
        if (piece.length === 0) throw damaged();
        at += piece.length;
        if (whole) crc = crc32(piece, crc);
        if (whole && at === this.#fileBytes && crc !== this.#crc) throw damaged();
        yield piece;
      }
    } finally {
      await file.close();
    }
  }

  slice(from: number, to?: number): Blob {
    const { start, end } = clampRange(this.sizeBytes, from, to);
    return new SpooledBlob(this.#port, this.#path, this.#crc, this.#fileBytes, this.#start + start, this.#start + end);
  }
}

function damaged(): PosternError {
  return new PosternError("STORE_DAMAGED", "a spooled content is not what was written");
}

function fail(cause: unknown): never {
  throw storeError("read a spooled content", cause);
}
