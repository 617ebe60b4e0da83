/** Search in the tree of one snapshot. Bounded whatever the pages say: the depth, every page number and every offset is checked. */
import { BrokenFile } from "../follow/broken-file.ts";
import { longestValueBytes } from "../follow/database.ts";
import { compareKey, type Octets } from "../follow/octets.ts";
import { nodeFlag, pageHeaderBytes, pageKind, readNumber, type Snapshot } from "./pages.ts";

/** LMDB's CURSOR_STACK. */
const deepest = 32;
const nodeHeaderBytes = 8;

export function findInTree(octets: Octets, tree: Snapshot, key: Buffer, length: number): Buffer | undefined {
  let page = tree.root;
  if (page === undefined) return undefined;
  for (let depth = 1; depth <= Math.min(tree.depth, deepest); depth++) {
    const at = openPage(octets, tree, page);
    const { buffer } = octets;
    const isLeaf = kindOf(buffer, at) === pageKind.leaf;
    // A branch's first key is empty: whatever is smaller than the second goes there.
    let low = isLeaf ? 0 : 1;
    let high = countOf(buffer, at, tree) - 1;
    let equal = -1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const node = nodeAt(buffer, at, middle, tree);
      const start = node + nodeHeaderBytes;
      const order = compareKey(key, length, buffer, start, start + buffer.readUInt16LE(node + 6));
      if (order === 0) {
        equal = middle;
        break;
      }
      if (order > 0) low = middle + 1;
      else high = middle - 1;
    }
    if (isLeaf) return equal < 0 ? undefined : valueAt(octets, tree, at, nodeAt(buffer, at, equal, tree));
    page = childOf(buffer, nodeAt(buffer, at, equal < 0 ? low - 1 : equal, tree));
  }
  throw new BrokenFile("its tree is deeper than it says");
}

/** All keys and values in order, each pair readable until the next is asked for. */
export function* pairsOfTree(octets: Octets, tree: Snapshot): Generator<readonly [Buffer, Buffer]> {
  // A tree that is none (a page with two parents) would go on without end: more entries than it says are damage.
  let left = tree.entries;
  let pagesLeft = tree.pages;
  yield* walk(tree.root, 1);

  function* walk(page: number | undefined, depth: number): Generator<readonly [Buffer, Buffer]> {
    if (page === undefined) return;
    pagesLeft -= 1;
    if (depth > Math.min(tree.depth, deepest) || pagesLeft < 0) throw new BrokenFile("its tree is deeper than it says");
    const count = countOf(octets.buffer, openPage(octets, tree, page), tree);
    for (let index = 0; index < count; index++) {
      // Opened again for each: what was yielded or descended into may have taken the buffer.
      const at = openPage(octets, tree, page);
      const { buffer } = octets;
      const node = nodeAt(buffer, at, index, tree);
      if (kindOf(buffer, at) === pageKind.branch) {
        yield* walk(childOf(buffer, node), depth + 1);
        continue;
      }
      left -= 1;
      if (left < 0) throw new BrokenFile("it has more entries than it says");
      const start = node + nodeHeaderBytes;
      const key = Buffer.from(buffer.subarray(start, start + buffer.readUInt16LE(node + 6)));
      yield [key, valueAt(octets, tree, at, node)];
    }
  }
}

/** Throws `BrokenFile` unless every branch and leaf of the tree lies in the file: it is the whole of it. Values are not looked at. */
export function provePages(octets: Octets, tree: Snapshot): void {
  let left = tree.pages;
  const prove = (page: number, depth: number): void => {
    left -= 1;
    if (depth > Math.min(tree.depth, deepest) || left < 0) throw new BrokenFile("its tree is deeper than it says");
    const at = openPage(octets, tree, page);
    const { buffer } = octets;
    const count = countOf(buffer, at, tree);
    const isLeaf = kindOf(buffer, at) === pageKind.leaf;
    if (isLeaf !== (depth === tree.depth)) throw new BrokenFile("its tree is not as deep everywhere");
    for (let index = 0; index < count; index++) {
      const node = nodeAt(buffer, at, index, tree);
      if (!isLeaf) prove(childOf(buffer, node), depth + 1);
    }
  };
  if (tree.root !== undefined) prove(tree.root, 1);
}

/** Makes a branch or leaf readable. */
function openPage(octets: Octets, tree: Snapshot, page: number): number {
  if (!(page >= 2 && page < tree.pages)) throw new BrokenFile("a page lies outside");
  const at = octets.at(page * tree.pageBytes, tree.pageBytes);
  if (readNumber(octets.buffer, at) !== page) throw new BrokenFile("a page has another's number");
  return at;
}

function kindOf(buffer: Buffer, at: number): number {
  const kind = buffer.readUInt16LE(at + 10) & 0x6f;
  if (kind !== pageKind.branch && kind !== pageKind.leaf) throw new BrokenFile("a page is no part of a tree");
  return kind;
}

function countOf(buffer: Buffer, at: number, tree: Snapshot): number {
  const lower = buffer.readUInt16LE(at + 12);
  const upper = buffer.readUInt16LE(at + 14);
  if (lower <= pageHeaderBytes || lower > upper || upper > tree.pageBytes) throw new BrokenFile("a page is damaged");
  return (lower - pageHeaderBytes) >>> 1;
}

/** Where a node begins; its header and key lie inside of the page. */
function nodeAt(buffer: Buffer, at: number, index: number, tree: Snapshot): number {
  const offset = buffer.readUInt16LE(at + pageHeaderBytes + index * 2);
  if (offset < pageHeaderBytes || offset + nodeHeaderBytes > tree.pageBytes) throw new BrokenFile("a page is damaged");
  const end = offset + nodeHeaderBytes + buffer.readUInt16LE(at + offset + 6);
  if (end > tree.pageBytes) throw new BrokenFile("a page is damaged");
  return at + offset;
}

function childOf(buffer: Buffer, node: number): number {
  return buffer.readUInt32LE(node) + buffer.readUInt16LE(node + 4) * 2 ** 32;
}

function valueAt(octets: Octets, tree: Snapshot, at: number, node: number): Buffer {
  const { buffer } = octets;
  const bytes = buffer.readUInt32LE(node);
  const flags = buffer.readUInt16LE(node + 4);
  const start = node + nodeHeaderBytes + buffer.readUInt16LE(node + 6);
  if ((flags & (nodeFlag.tree | nodeFlag.duplicates)) !== 0)
    throw new BrokenFile("a key has a tree in place of a value");
  if ((flags & nodeFlag.big) === 0) {
    if (start + bytes > at + tree.pageBytes) throw new BrokenFile("a value is longer than its page");
    return buffer.subarray(start, start + bytes);
  }
  if (start + 8 > at + tree.pageBytes) throw new BrokenFile("a page is damaged");
  if (bytes > longestValueBytes) throw new BrokenFile("a value is too long to be one");
  return overflow(octets, tree, readNumber(buffer, start), bytes);
}

function overflow(octets: Octets, tree: Snapshot, page: number, bytes: number): Buffer {
  const pages = Math.ceil((pageHeaderBytes + bytes) / tree.pageBytes);
  if (!(page >= 2 && page + pages <= tree.pages)) throw new BrokenFile("a page lies outside");
  const at = octets.at(page * tree.pageBytes, pageHeaderBytes + bytes);
  const { buffer } = octets;
  if ((buffer.readUInt16LE(at + 10) & pageKind.overflow) === 0 || buffer.readUInt32LE(at + 12) < pages) {
    throw new BrokenFile("a value's pages are damaged");
  }
  return buffer.subarray(at + pageHeaderBytes, at + pageHeaderBytes + bytes);
}
