/**
 * A hash table of the keys of a text file: offsets into the file's octets, open addressing, about 16 octets a key. Keys are ASCII
 * without quotes and equal whatever their case; each ends before a blank or at the end of its line.
 */
import { isBlank } from "./line-scanner.ts";

/** Numbers of a slot: one more than where the key begins (0: free slot), the key's hash. */
const slotSize = 2;
/** In a slot's first number: what belongs to the key goes on in further lines. No file that is read whole is so long. */
const continued = 2 ** 31;

const newline = 0x0a;
/** ASCII letters in lower case, everything else as it is. */
const lower = Uint8Array.from({ length: 256 }, (_, octet) => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet));

export class KeyIndex {
  readonly #file: Buffer;
  #slots: Uint32Array;
  #mask: number;
  #size = 0;

  constructor(file: Buffer) {
    this.#file = file;
    const slots = slotsFor(file);
    this.#mask = slots - 1;
    this.#slots = new Uint32Array(slots * slotSize);
  }

  get size(): number {
    return this.#size;
  }

  /** False when the key is there already. */
  insert(start: number, keyEnd: number, goesOn: boolean): boolean {
    const hash = hashOctets(this.#file, start, keyEnd);
    let slot = (hash & this.#mask) * slotSize;
    while (this.#slots[slot] !== 0) {
      if (this.#slots[slot + 1] === hash && this.#sameKeys(slot, start, keyEnd)) return false;
      slot = (slot + slotSize) & (this.#slots.length - 1);
    }
    this.#slots[slot] = goesOn ? start + 1 + continued : start + 1;
    this.#slots[slot + 1] = hash;
    this.#size += 1;
    if (this.#size * 3 > this.#mask * 2) this.#grow();
    return true;
  }

  /** The slot of the line that begins at `start`; -1 when another has its key. */
  slotOf(start: number, keyEnd: number): number {
    let slot = (hashOctets(this.#file, start, keyEnd) & this.#mask) * slotSize;
    for (; this.#slots[slot] !== 0; slot = (slot + slotSize) & (this.#slots.length - 1)) {
      if (this.startIn(slot) === start) return slot;
    }
    return -1;
  }

  #grow(): void {
    const before = this.#slots;
    const length = before.length * 2;
    const slots = new Uint32Array(length);
    this.#mask = length / slotSize - 1;
    for (let at = 0; at < before.length; at += slotSize) {
      if (before[at] === 0) continue;
      let slot = ((before[at + 1] as number) & this.#mask) * slotSize;
      while (slots[slot] !== 0) slot = (slot + slotSize) & (length - 1);
      slots[slot] = before[at] as number;
      slots[slot + 1] = before[at + 1] as number;
    }
    this.#slots = slots;
  }

  /** The slot of a key, in lower case; -1 when it has none. */
  find(folded: string): number {
    const slots = this.#slots;
    const hash = hashText(folded);
    let slot = (hash & this.#mask) * slotSize;
    while (slots[slot] !== 0) {
      if (slots[slot + 1] === hash && this.#hasKey(slot, folded)) return slot;
      slot = (slot + slotSize) & (slots.length - 1);
    }
    return -1;
  }

  /** Where the key of a slot begins. */
  startIn(slot: number): number {
    return ((this.#slots[slot] as number) & (continued - 1)) - 1;
  }

  goesOn(slot: number): boolean {
    return (this.#slots[slot] as number) >= continued;
  }

  #hasKey(slot: number, folded: string): boolean {
    const file = this.#file;
    const start = this.startIn(slot);
    const { length } = folded;
    for (let at = 0; at < length; at++) {
      const code = folded.charCodeAt(at);
      // A blank ends the key in the file, whatever comes after it.
      if (lower[file[start + at] as number] !== code || (code <= 0x20 && endsKey(code))) return false;
    }
    return endsKey(file[start + length]);
  }

  #sameKeys(slot: number, start: number, end: number): boolean {
    const file = this.#file;
    const other = this.startIn(slot);
    for (let at = 0; at < end - start; at++) {
      if (lower[file[start + at] as number] !== lower[file[other + at] as number]) return false;
    }
    return endsKey(file[other + end - start]);
  }
}

/** Whether a key may end before this octet: a blank, a newline, the end of the file. */
function endsKey(octet: number | undefined): boolean {
  return octet === newline || octet === undefined || isBlank(octet);
}

// Four octets of seven bits at a time: FNV-1a's steps, and a last stir, since the index uses the low bits. What is not ASCII
// gets some hash too; it finds no equal key.
const firstHash = 0x811c9dc5;
const prime = 0x01000193;

function hashText(text: string): number {
  const { length } = text;
  let hash = firstHash ^ length;
  let at = 0;
  for (; at + 3 < length; at += 4) {
    const low = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 7);
    const high = text.charCodeAt(at + 2) | (text.charCodeAt(at + 3) << 7);
    hash = Math.imul(hash ^ low ^ (high << 14), prime) ^ (hash >>> 15);
  }
  for (; at < length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  return stir(hash);
}

/** The same of the file's octets, as if in lower case. */
function hashOctets(file: Buffer, start: number, end: number): number {
  const code = (at: number) => lower[file[at] as number] as number;
  let hash = firstHash ^ (end - start);
  let at = start;
  for (; at + 3 < end; at += 4) {
    const low = code(at) | (code(at + 1) << 7);
    const high = code(at + 2) | (code(at + 3) << 7);
    hash = Math.imul(hash ^ low ^ (high << 14), prime) ^ (hash >>> 15);
  }
  for (; at < end; at++) hash = Math.imul(hash ^ code(at), prime);
  return stir(hash);
}

function stir(hash: number): number {
  const stirred = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (stirred ^ (stirred >>> 13)) >>> 0;
}

/** A power of two: half as many again as there may be lines, by the first of them. */
function slotsFor(file: Buffer): number {
  const sample = Math.min(file.length, 2 ** 16);
  let lines = 1;
  for (let at = 0; at < sample; at++) if (file[at] === newline) lines++;
  const expected = (lines * file.length) / Math.max(sample, 1);
  return 2 ** Math.max(Math.ceil(Math.log2(expected * 1.5)), 3);
}
