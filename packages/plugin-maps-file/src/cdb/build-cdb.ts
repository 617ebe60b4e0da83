/** Writer of cdb files as Debian's postmap makes them: keys folded, no closing NUL, in the place of the old file in one step. */
import { open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError, foldKey } from "@postern/core";
import { cdbHash, headerBytes, tableCount } from "./cdb-hash.ts";

/** Written at once. */
const chunkBytes = 2 ** 20;
const largestBytes = 2 ** 32 - 1;

export interface CdbEntry {
  readonly key: string;
  readonly value: string;
}

export interface BuiltCdb {
  /** Records written. */
  readonly records: number;
  /** Keys that stood there already: the first stays, as with postmap. */
  readonly duplicates: readonly string[];
}

/**
 * Writes the file at `path`, its name with `.cdb`; readers see the old file or the whole new one, also after a crash.
 * Throws `ConfigError` over 4 GiB, and errors of the system; the old file then stands as it was.
 */
export async function buildCdb(entries: Iterable<CdbEntry>, path: string): Promise<BuiltCdb> {
  const draft = `${path}.tmp`;
  const mode = (await stat(path).catch(() => undefined))?.mode;
  await rm(draft, { force: true });
  const file = await open(draft, "wx", mode ?? 0o644);
  try {
    // The mask of the process must not narrow what the old file allowed.
    if (mode !== undefined) await file.chmod(mode & 0o777);
    const built = await writeRecords(file, entries, path);
    await file.sync();
    await file.close();
    await rename(draft, path);
    await syncFolder(dirname(path));
    return built;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}

async function writeRecords(file: FileHandle, entries: Iterable<CdbEntry>, path: string): Promise<BuiltCdb> {
  const output = new Output(file, headerBytes, path);
  /** Hash and position of the records of each hash table, in their order. */
  const tables: number[][] = Array.from({ length: tableCount }, () => []);
  const keys = new Set<string>();
  const duplicates: string[] = [];
  for (const { key: written, value } of entries) {
    const key = foldKey(written);
    if (keys.has(key)) {
      duplicates.push(written);
      continue;
    }
    keys.add(key);
    const keyBytes = Buffer.byteLength(key);
    const valueBytes = Buffer.byteLength(value);
    const record = Buffer.allocUnsafe(8 + keyBytes + valueBytes);
    record.writeUInt32LE(keyBytes, 0);
    record.writeUInt32LE(valueBytes, 4);
    record.write(key, 8);
    record.write(value, 8 + keyBytes);
    const hash = cdbHash(record.subarray(8), keyBytes);
    tables[hash % tableCount]?.push(hash, output.position);
    await output.add(record);
  }
  const header = Buffer.alloc(headerBytes);
  for (const [index, table] of tables.entries()) {
    header.writeUInt32LE(output.position, index * 8);
    header.writeUInt32LE(table.length, index * 8 + 4);
    await output.add(slotsOf(table));
  }
  await output.flush();
  await file.write(header, 0, header.length, 0);
  return { records: keys.size, duplicates };
}

/** A hash table with twice as many slots as records; `table` has two numbers for each record. */
function slotsOf(table: readonly number[]): Buffer {
  const slots = table.length;
  const octets = Buffer.alloc(slots * 8);
  for (let index = 0; index < table.length; index += 2) {
    const hash = table[index] ?? 0;
    let slot = (hash >>> 8) % slots;
    while (octets.readUInt32LE(slot * 8 + 4) !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
    octets.writeUInt32LE(hash, slot * 8);
    octets.writeUInt32LE(table[index + 1] ?? 0, slot * 8 + 4);
  }
  return octets;
}

class Output {
  /** Where the next octets go. */
  position: number;
  readonly #file: FileHandle;
  readonly #path: string;
  #pieces: Buffer[] = [];
  #waiting = 0;

  constructor(file: FileHandle, position: number, path: string) {
    this.#file = file;
    this.position = position;
    this.#path = path;
  }

  async add(piece: Buffer): Promise<void> {
    if (this.position + piece.length > largestBytes)
      throw new ConfigError(`${this.#path}: a cdb file holds 4 GiB at most`);
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    this.position += piece.length;
    if (this.#waiting >= chunkBytes) await this.flush();
  }

  async flush(): Promise<void> {
    const octets = Buffer.concat(this.#pieces);
    const start = this.position - octets.length;
    for (let written = 0; written < octets.length;) {
      const { bytesWritten } = await this.#file.write(octets, written, octets.length - written, start + written);
      written += bytesWritten;
    }
    this.#pieces = [];
    this.#waiting = 0;
  }
}

/** The new name survives a crash only with its folder. Not every file system lets a folder be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  if (folder === undefined) return;
  await folder.sync().catch(() => undefined);
  await folder.close();
}
