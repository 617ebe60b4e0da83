/**
 * The entries of a table's text file, left where they are: the file's octets and an index of offsets into them. A million lines
 * cost 16 octets each beside the file and nothing to the garbage collector; a string is made for a value that is found.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { foldKey } from "./fold.ts";
import { isBlank, LineScanner } from "./line-scanner.ts";
import { soundLine, type LogicalLine } from "./logical-lines.ts";
import type { TableEntries } from "./memory-table.ts";
import { splitEntry, trimBlanks } from "./text-entry.ts";
import type { Located } from "./table.ts";

/** An entry that the index cannot hold: a key with quotes, backslashes or letters outside ASCII, a line with wrong octets. */
interface OddEntry {
  readonly start: number;
  readonly key: string;
  readonly value: string;
}

/** Node's own quick ways from octets to a string, which its types do not mention. */
type SliceableBuffer = Buffer & Record<"latin1Slice" | "utf8Slice", (start: number, end: number) => string>;

type WarnAt = (line: number, text: string) => void;

/** Numbers of a slot: one more than where the key begins (0: free slot), the key's hash. */
const slotSize = 2;
/** In a slot's first number: the value goes on in further lines. No file that is read whole is so long. */
const continued = 2 ** 31;

/** ASCII letters in lower case, everything else as it is. */
const lower = Uint8Array.from({ length: 256 }, (_, octet) => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet));
const newline = 0x0a;
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

export class TextEntries implements TableEntries {
  readonly #path: string;
  readonly #file: SliceableBuffer;
  readonly #ascii: boolean;
  /** UTF-8 throughout and no NUL: no line needs a look of its own. */
  readonly #sound: boolean;
  readonly #warn: WarnAt;
  readonly #odd = new Map<string, OddEntry>();
  #slots: Uint32Array;
  #mask: number;
  #packed = 0;
  /** The newlines before an offset, counted from the last one that was asked for. */
  #counted = { offset: 0, line: 1 };

  /** Empty; `load` fills it. */
  constructor(path: string, file: Buffer, warn: WarnAt) {
    this.#path = path;
    this.#file = file as SliceableBuffer;
    this.#warn = warn;
    this.#ascii = isAscii(file);
    this.#sound = (this.#ascii || isUtf8(file)) && !file.includes(0);
    const slots = slotsFor(file);
    this.#mask = slots - 1;
    this.#slots = new Uint32Array(slots * slotSize);
  }

  /** Reads the file in pieces of about `octets`; who goes through it decides what happens in between. */
  *load(octets: number): Generator<void> {
    const scanner = new LineScanner(this.#file);
    let pause = octets;
    while (scanner.next()) {
      if (!this.#pack(scanner)) this.#addOdd(scanner);
      if (scanner.at < pause) continue;
      pause = scanner.at + octets;
      yield;
    }
  }

  get size(): number {
    return this.#packed + this.#odd.size;
  }

  get(folded: string): string | undefined {
    const slot = this.#find(folded);
    if (slot >= 0) return this.#value(slot, folded.length);
    return this.#odd.size === 0 ? undefined : this.#odd.get(folded)?.value;
  }

  locate(folded: string): Located | undefined {
    const slot = this.#find(folded);
    const odd = slot < 0 ? this.#odd.get(folded) : undefined;
    if (odd !== undefined) return this.#located(odd);
    if (slot < 0) return undefined;
    const start = this.#startIn(slot);
    const key = this.#file.toString("latin1", start, start + folded.length);
    return this.#located({ start, key, value: this.#value(slot, folded.length) });
  }

  *all(): Generator<Located> {
    const scanner = new LineScanner(this.#file);
    const silent = () => undefined;
    let counted = { offset: 0, line: 1 };
    while (scanner.next()) {
      counted = this.#count(counted, scanner.start);
      const keyEnd = this.#plainKeyEnd(scanner);
      if (keyEnd >= 0) {
        const key = this.#file.latin1Slice(scanner.start, keyEnd);
        const slot = this.#slotOf(scanner.start, keyEnd);
        if (slot < 0) continue;
        yield { file: this.#path, line: counted.line, key, value: this.#value(slot, key.length) };
        continue;
      }
      const entry = this.#readLine(scanner, counted.line, silent);
      if (entry === undefined || this.#startOf(foldKey(entry.key)) !== scanner.start) continue;
      yield { file: this.#path, line: counted.line, ...entry };
    }
  }

  /** Puts a line into the index, the way of nearly all lines. False, with nothing done, when it takes a closer look. */
  #pack(scanner: LineScanner): boolean {
    const { start, firstEnd, end } = scanner;
    const keyEnd = this.#plainKeyEnd(scanner);
    if (keyEnd < 0) return false;
    if (!this.#insert(start, keyEnd, end > firstEnd)) {
      this.#warnDuplicate(this.#lineOf(start), this.#file.latin1Slice(start, keyEnd));
    }
    return true;
  }

  /** Where the key ends of a line that has key and value and needs no closer look; -1 for any other. */
  #plainKeyEnd({ start, firstEnd, end }: LineScanner): number {
    const file = this.#file;
    if (!this.#sound || isBlank(file[start])) return -1;
    let keyEnd = start;
    for (; keyEnd < firstEnd; keyEnd++) {
      const octet = file[keyEnd] as number;
      if (isBlank(octet)) break;
      if (octet > 0x7f || octet === quote || octet === backslash) return -1;
    }
    let valueEnd = end;
    while (valueEnd > keyEnd && isBlank(file[valueEnd - 1])) valueEnd--;
    return valueEnd === keyEnd || file[keyEnd - 1] === colon ? -1 : keyEnd;
  }

  #addOdd(scanner: LineScanner): void {
    const line = this.#lineOf(scanner.start);
    const entry = this.#readLine(scanner, line, this.#warn);
    if (entry === undefined) return;
    const folded = foldKey(entry.key);
    if (this.#startOf(folded) >= 0) this.#warnDuplicate(line, entry.key);
    else this.#odd.set(folded, { start: scanner.start, ...entry });
  }

  #readLine(scanner: LineScanner, line: number, warn: WarnAt): { key: string; value: string } | undefined {
    const logical: LogicalLine | undefined = soundLine(line, scanner.octets(), warn);
    return logical === undefined ? undefined : splitEntry(logical, warn);
  }

  #warnDuplicate(line: number, key: string): void {
    this.#warn(line, `ignoring duplicate entry: "${key}"`);
  }

  /** False when the key is there already. */
  #insert(start: number, keyEnd: number, goesOn: boolean): boolean {
    if (this.#odd.size > 0 && this.#odd.has(foldKey(this.#file.latin1Slice(start, keyEnd)))) return false;
    const hash = hashOctets(this.#file, start, keyEnd);
    let slot = (hash & this.#mask) * slotSize;
    while (this.#slots[slot] !== 0) {
      if (this.#slots[slot + 1] === hash && this.#sameKeys(slot, start, keyEnd)) return false;
      slot = (slot + slotSize) & (this.#slots.length - 1);
    }
    this.#slots[slot] = goesOn ? start + 1 + continued : start + 1;
    this.#slots[slot + 1] = hash;
    this.#packed += 1;
    if (this.#packed * 3 > this.#mask * 2) this.#grow();
    return true;
  }

  /** The slot of the line that begins at `start`; -1 when another has its key. */
  #slotOf(start: number, keyEnd: number): number {
    let slot = (hashOctets(this.#file, start, keyEnd) & this.#mask) * slotSize;
    for (; this.#slots[slot] !== 0; slot = (slot + slotSize) & (this.#slots.length - 1)) {
      if (this.#startIn(slot) === start) return slot;
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

  /** Where the slot of a key begins; -1 when it has none. */
  #find(folded: string): number {
    const slots = this.#slots;
    const hash = hashText(folded);
    let slot = (hash & this.#mask) * slotSize;
    while (slots[slot] !== 0) {
      if (slots[slot + 1] === hash && this.#hasKey(slot, folded)) return slot;
      slot = (slot + slotSize) & (slots.length - 1);
    }
    return -1;
  }

  #startIn(slot: number): number {
    return ((this.#slots[slot] as number) & (continued - 1)) - 1;
  }

  #hasKey(slot: number, folded: string): boolean {
    const file = this.#file;
    const start = this.#startIn(slot);
    const { length } = folded;
    for (let at = 0; at < length; at++) {
      if (lower[file[start + at] as number] !== folded.charCodeAt(at)) return false;
    }
    return endsKey(file[start + length]);
  }

  #sameKeys(slot: number, start: number, end: number): boolean {
    const file = this.#file;
    const other = this.#startIn(slot);
    for (let at = 0; at < end - start; at++) {
      if (lower[file[start + at] as number] !== lower[file[other + at] as number]) return false;
    }
    return endsKey(file[other + end - start]);
  }

  #value(slot: number, keyLength: number): string {
    if ((this.#slots[slot] as number) >= continued) return this.#continuedValue(slot, keyLength);
    const file = this.#file;
    const { length } = file;
    let start = this.#startIn(slot) + keyLength;
    while (isBlank(file[start])) start++;
    let end = start + 1;
    while (end < length && file[end] !== newline) end++;
    while (isBlank(file[end - 1])) end--;
    return this.#ascii ? file.latin1Slice(start, end) : file.utf8Slice(start, end);
  }

  #continuedValue(slot: number, keyLength: number): string {
    const scanner = new LineScanner(this.#file);
    scanner.at = this.#startIn(slot);
    scanner.next();
    return trimBlanks(Buffer.from(scanner.octets().slice(keyLength), "latin1").toString("utf8"));
  }

  /** The offset of the line that holds this key; -1 when none does. */
  #startOf(folded: string): number {
    const slot = this.#find(folded);
    return slot >= 0 ? this.#startIn(slot) : (this.#odd.get(folded)?.start ?? -1);
  }

  #located({ start, key, value }: OddEntry): Located {
    return { file: this.#path, line: this.#lineOf(start), key, value };
  }

  #lineOf(offset: number): number {
    const from = offset < this.#counted.offset ? { offset: 0, line: 1 } : this.#counted;
    this.#counted = this.#count(from, offset);
    return this.#counted.line;
  }

  #count(from: { offset: number; line: number }, offset: number): { offset: number; line: number } {
    let { line } = from;
    for (let at = from.offset; at < offset; at++) if (this.#file[at] === newline) line++;
    return { offset, line };
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
