/**
 * Reader of LMDB files as Postfix's postmap writes them (one file, MDB_NOSUBDIR, no lock file).
 *
 * Postfix guards them with an fcntl lock of the whole file, which Node cannot take. What LMDB itself guarantees is enough: a
 * writer never touches a page of the newest commit, nor of the one before. It writes to pages that were free then, and last of all, in
 * one write, to the older of both meta pages. So pages that were read between two looks at the meta pages that name the same newest
 * commit are that commit's, whole; postmap drops the old and puts the new entries in one commit. When a commit came between,
 * what was read is thrown away and read again. A file whose writer never committed is no table yet.
 * Not seen is a crash of the machine that lost pages but kept the meta page: postmap syncs in between.
 */
import type { FileHandle } from "node:fs/promises";
import { BrokenFile, TornRead } from "../follow/broken-file.ts";
import type { Database } from "../follow/database.ts";
import { FileOctets, heldLimitBytes, HeldOctets, openRegular, readHead, type Octets } from "../follow/octets.ts";
import { findInTree, pairsOfTree, provePages } from "./lmdb-tree.ts";
import { metaBytes, pageSizes, readMeta, type Snapshot } from "./pages.ts";

/** How often a lookup in a file that is not held begins again because of a commit. */
const attempts = 8;

/** Throws `BrokenFile` for a file that is no such table, `TornRead` when it was written meanwhile, errors of the system. */
export async function openLmdb(path: string, limitBytes: number = heldLimitBytes): Promise<Database> {
  const { file, size } = await openRegular(path);
  let kept = false;
  try {
    const snapshot = await readNewest(file, size);
    const bytes = snapshot.pages * snapshot.pageBytes;
    if (bytes > limitBytes) {
      const octets = new FileOctets(file, Infinity);
      kept = true;
      return new SharedLmdb(octets, snapshot.pageBytes);
    }
    // Its size of now: the commit may have made it larger. Or have freed its last pages before they were ever written.
    const { size: grown } = await file.stat();
    const octets = new HeldOctets(await readHead(file, Math.min(bytes, grown)));
    const after = await readNewest(file, size);
    if (!isSame(after, snapshot)) throw new TornRead();
    provePages(octets, snapshot);
    return new HeldLmdb(octets, snapshot);
  } finally {
    if (!kept) await file.close();
  }
}

async function readNewest(file: FileHandle, size: number): Promise<Snapshot> {
  for (const pageBytes of pageSizes) {
    const end = pageBytes + metaBytes;
    if (end > size) break;
    const octets = await readHead(file, end);
    const newest = newestOf(readMeta(octets, 0), readMeta(octets, pageBytes));
    if (newest?.pageBytes === pageBytes) return checked(newest);
  }
  throw new BrokenFile("it is no LMDB file of format 1 for 64 bits, little-endian");
}

function newestOf(one: Snapshot | undefined, other: Snapshot | undefined): Snapshot | undefined {
  return one === undefined || (other !== undefined && other.transaction > one.transaction) ? other : one;
}

/** The root too: a look at a meta page that is just written may see half of it. */
function isSame(one: Snapshot, other: Snapshot): boolean {
  return one.transaction === other.transaction && one.root === other.root && one.pages === other.pages;
}

function checked(snapshot: Snapshot): Snapshot {
  if (snapshot.transaction === 0) throw new BrokenFile("nothing was committed to it yet");
  return snapshot;
}

/** A file in memory: one commit, until the file is read again. */
class HeldLmdb implements Database {
  readonly #octets: Octets;
  readonly #snapshot: Snapshot;

  constructor(octets: Octets, snapshot: Snapshot) {
    this.#octets = octets;
    this.#snapshot = snapshot;
  }

  find(key: Buffer, length: number): Buffer | undefined {
    return findInTree(this.#octets, this.#snapshot, key, length);
  }

  pairs(): Iterable<readonly [Buffer, Buffer]> {
    return pairsOfTree(this.#octets, this.#snapshot);
  }

  close(): void {
    this.#octets.close();
  }
}

/** A file that is not held: each lookup reads the newest commit, and again when a commit came between. */
export class SharedLmdb implements Database {
  readonly #octets: Octets;
  readonly #pageBytes: number;

  constructor(octets: Octets, pageBytes: number) {
    this.#octets = octets;
    this.#pageBytes = pageBytes;
  }

  find(key: Buffer, length: number): Buffer | undefined {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const snapshot = this.#newest();
      const outcome = this.#attempt(snapshot, key, length);
      if (!isSame(this.#newest(), snapshot)) continue;
      if (outcome instanceof BrokenFile) throw outcome;
      return outcome;
    }
    throw new BrokenFile("it changes faster than it can be read");
  }

  /** Damage may be a page that was just written: who asked finds out whether it was. The value is a copy, the look at the meta pages takes the buffer. */
  #attempt(snapshot: Snapshot, key: Buffer, length: number): Buffer | BrokenFile | undefined {
    try {
      const value = findInTree(this.#octets, snapshot, key, length);
      return value === undefined ? undefined : Buffer.from(value);
    } catch (error) {
      if (error instanceof BrokenFile) return error;
      throw error;
    }
  }

  /** None: a table of this size is not proved entry by entry. */
  pairs(): Iterable<readonly [Buffer, Buffer]> {
    return [];
  }

  close(): void {
    this.#octets.close();
  }

  #newest(): Snapshot {
    const newest = newestOf(this.#meta(0), this.#meta(this.#pageBytes));
    if (newest?.pageBytes !== this.#pageBytes) throw new BrokenFile("its meta pages are damaged");
    return checked(newest);
  }

  #meta(position: number): Snapshot | undefined {
    const at = this.#octets.at(position, metaBytes);
    return readMeta(this.#octets.buffer, at);
  }
}
