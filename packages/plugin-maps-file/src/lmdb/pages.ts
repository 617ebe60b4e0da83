/**
 * The layout of LMDB's data file, format version 1, on 64-bit little-endian machines (lmdb's mdb.c: MDB_page, MDB_meta,
 * MDB_db, MDB_node). Pages 0 and 1 are meta pages, written in turn by each commit; the rest are a B+ tree, copied on write.
 */
import { BrokenFile } from "../follow/broken-file.ts";

export const pageHeaderBytes = 16;
/** From a page's begin to the end of MDB_meta. */
export const metaBytes = pageHeaderBytes + 136;

export const pageKind = Object.freeze({ branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 });
/** Of a leaf's node: the value stands on overflow pages; it is a tree of its own; it has several values. */
export const nodeFlag = Object.freeze({ big: 0x01, tree: 0x02, duplicates: 0x04 });

/** The tree at one commit. */
export interface Snapshot {
  readonly transaction: number;
  readonly pageBytes: number;
  /** Pages of the file at that commit. */
  readonly pages: number;
  /** The root's page; `undefined` for an empty tree. */
  readonly root: number | undefined;
  readonly depth: number;
  readonly entries: number;
}

const magic = 0xbeefc0de;
/** Where the second of the meta pages may begin: LMDB takes the machine's page size. */
export const pageSizes: readonly number[] = [4096, 8192, 16384, 32768, 65536];

/** Positions in the file stay whole numbers of JavaScript. */
const mostPages = 2 ** 32;

/** Bytewise order is 0; anything else (reversed, integers, several values a key) is not what postmap writes. */
const orderFlags = 0x7f;

/** One meta page, `undefined` when these octets are none. */
export function readMeta(octets: Buffer, start: number): Snapshot | undefined {
  const at = start + pageHeaderBytes;
  if (at + 136 > octets.length || (octets.readUInt16LE(start + 10) & pageKind.meta) === 0) return undefined;
  if (octets.readUInt32LE(at) !== magic || octets.readUInt32LE(at + 4) !== 1) return undefined;
  const main = at + 72;
  if ((octets.readUInt16LE(main + 4) & orderFlags) !== 0)
    throw new BrokenFile("its keys are not in the order of octets");
  const pages = readNumber(octets, at + 120) + 1;
  if (pages > mostPages) throw new BrokenFile("its meta page is damaged");
  const isEmpty = octets.readBigUInt64LE(main + 40) === 0xffff_ffff_ffff_ffffn;
  return {
    transaction: readNumber(octets, at + 128),
    pageBytes: octets.readUInt32LE(at + 24),
    pages,
    root: isEmpty ? undefined : readNumber(octets, main + 40),
    depth: octets.readUInt16LE(main + 6),
    entries: readNumber(octets, main + 32),
  };
}

/** 64 bits of which numbers of JavaScript hold 53. */
export function readNumber(octets: Buffer, at: number): number {
  return octets.readUInt32LE(at) + octets.readUInt32LE(at + 4) * 2 ** 32;
}
