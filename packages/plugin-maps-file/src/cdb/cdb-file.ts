/**
 * Reader of cdb files (https://cr.yp.to/cdb/cdb.txt): records, then 256 hash tables of (hash, position) with open
 * addressing, found by the table of tables at the begin. Little-endian, 32 bits: no file is larger than 4 GiB.
 */
import { BrokenFile, TornRead } from "../follow/broken-file.ts";
import { longestValueBytes, type Database } from "../follow/database.ts";
import {
  compareKey,
  FileOctets,
  heldLimitBytes,
  HeldOctets,
  openRegular,
  readHead,
  type Octets,
} from "../follow/octets.ts";
import { cdbHash, headerBytes, tableCount } from "./cdb-hash.ts";

/** Throws `BrokenFile` for a file that is no cdb, `TornRead` when it changed meanwhile, errors of the system. */
export async function openCdb(path: string, limitBytes: number = heldLimitBytes): Promise<Database> {
  const { file, size } = await openRegular(path);
  let kept = false;
  try {
    const octets = size > limitBytes ? new FileOctets(file, size) : await hold();
    const cdb = new CdbFile(octets);
    kept = octets instanceof FileOctets;
    return cdb;
  } finally {
    if (!kept) await file.close();
  }

  async function hold(): Promise<Octets> {
    const before = await file.stat({ bigint: true });
    const octets = await readHead(file, size);
    const after = await file.stat({ bigint: true });
    if (before.size !== after.size || before.mtimeNs !== after.mtimeNs) throw new TornRead();
    return new HeldOctets(octets);
  }
}

/** Half of the slots are free, so that a few probes find a key; this many mean damage, or a key that stands there as often. */
const mostProbes = 10_000;

export class CdbFile implements Database {
  readonly #octets: Octets;
  /** Position and slots of each hash table. */
  readonly #tables = new Uint32Array(tableCount * 2);
  /** Where the records end: the first hash table's position. */
  readonly #recordsEnd: number;

  /** Throws `BrokenFile` when a hash table does not lie in the file. */
  constructor(octets: Octets) {
    this.#octets = octets;
    if (octets.size < headerBytes) throw new BrokenFile("it is no cdb file: too short");
    const start = octets.at(0, headerBytes);
    let recordsEnd = octets.size;
    for (let index = 0; index < tableCount; index++) {
      const position = octets.buffer.readUInt32LE(start + index * 8);
      const slots = octets.buffer.readUInt32LE(start + index * 8 + 4);
      if (position < headerBytes || position + slots * 8 > octets.size) {
        throw new BrokenFile("it is no cdb file, or not the whole of it");
      }
      this.#tables[index * 2] = position;
      this.#tables[index * 2 + 1] = slots;
      recordsEnd = Math.min(recordsEnd, position);
    }
    this.#recordsEnd = recordsEnd;
  }

  find(key: Buffer, length: number): Buffer | undefined {
    const hash = cdbHash(key, length);
    const table = (hash % tableCount) * 2;
    const position = this.#tables[table] ?? 0;
    const slots = this.#tables[table + 1] ?? 0;
    if (slots === 0) return undefined;
    let slot = (hash >>> 8) % slots;
    // A table without a free slot ends the search as well.
    for (let tried = 0; tried < slots; tried++) {
      if (tried === mostProbes) throw new BrokenFile("a hash table is too full to be one");
      const at = this.#octets.at(position + slot * 8, 8);
      const { buffer } = this.#octets;
      const record = buffer.readUInt32LE(at + 4);
      if (record === 0) return undefined;
      if (buffer.readUInt32LE(at) === hash) {
        const value = this.#valueOf(record, key, length);
        if (value !== undefined) return value;
      }
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
    return undefined;
  }

  *pairs(): Generator<readonly [Buffer, Buffer]> {
    for (let position = headerBytes; position < this.#recordsEnd;) {
      const [keyBytes, valueBytes] = this.#lengths(position);
      const at = this.#octets.at(position + 8, keyBytes + valueBytes);
      const middle = at + keyBytes;
      const { buffer } = this.#octets;
      yield [buffer.subarray(at, middle), buffer.subarray(middle, middle + valueBytes)];
      position += 8 + keyBytes + valueBytes;
    }
  }

  close(): void {
    this.#octets.close();
  }

  /** The value of the record there when it has this key. */
  #valueOf(position: number, key: Buffer, length: number): Buffer | undefined {
    const [keyBytes, valueBytes] = this.#lengths(position);
    if (keyBytes !== length) return undefined;
    if (valueBytes > longestValueBytes) throw new BrokenFile("a value is too long to be one");
    const at = this.#octets.at(position + 8, keyBytes + valueBytes);
    const { buffer } = this.#octets;
    const middle = at + keyBytes;
    if (compareKey(key, length, buffer, at, middle) !== 0) return undefined;
    return buffer.subarray(middle, middle + valueBytes);
  }

  #lengths(position: number): readonly [keyBytes: number, valueBytes: number] {
    if (position < headerBytes || position + 8 > this.#recordsEnd) throw new BrokenFile("a record lies outside");
    const at = this.#octets.at(position, 8);
    const { buffer } = this.#octets;
    const keyBytes = buffer.readUInt32LE(at);
    const valueBytes = buffer.readUInt32LE(at + 4);
    if (position + 8 + keyBytes + valueBytes > this.#recordsEnd)
      throw new BrokenFile("a record is longer than the file");
    return [keyBytes, valueBytes];
  }
}
