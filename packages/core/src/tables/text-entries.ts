/**
 * The entries of a table's text file, left where they are: the file's octets and an index of offsets into them. A million lines
 * cost 16 octets each beside the file and nothing to the garbage collector; a string is made for a value that is found.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { foldKey } from "./fold.ts";
import { KeyIndex } from "./key-index.ts";
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
  readonly #index: KeyIndex;
  /** The newlines before an offset, counted from the last one that was asked for. */
  #counted = { offset: 0, line: 1 };

  /** Empty; `load` fills it. */
  constructor(path: string, file: Buffer, warn: WarnAt) {
    this.#path = path;
    this.#file = file as SliceableBuffer;
    this.#warn = warn;
    this.#ascii = isAscii(file);
    this.#sound = (this.#ascii || isUtf8(file)) && !file.includes(0);
    this.#index = new KeyIndex(file);
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
    return this.#index.size + this.#odd.size;
  }

  get(folded: string): string | undefined {
    const slot = this.#index.find(folded);
    if (slot >= 0) return this.#value(slot, folded.length);
    return this.#odd.size === 0 ? undefined : this.#odd.get(folded)?.value;
  }

  locate(folded: string): Located | undefined {
    const slot = this.#index.find(folded);
    const odd = slot < 0 ? this.#odd.get(folded) : undefined;
    if (odd !== undefined) return this.#located(odd);
    if (slot < 0) return undefined;
    const start = this.#index.startIn(slot);
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
        const slot = this.#index.slotOf(scanner.start, keyEnd);
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
    const taken = this.#odd.size > 0 && this.#odd.has(foldKey(this.#file.latin1Slice(start, keyEnd)));
    if (taken || !this.#index.insert(start, keyEnd, end > firstEnd)) {
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

  #value(slot: number, keyLength: number): string {
    if (this.#index.goesOn(slot)) return this.#continuedValue(slot, keyLength);
    const file = this.#file;
    const { length } = file;
    let start = this.#index.startIn(slot) + keyLength;
    while (isBlank(file[start])) start++;
    let end = start + 1;
    while (end < length && file[end] !== newline) end++;
    while (isBlank(file[end - 1])) end--;
    return this.#ascii ? file.latin1Slice(start, end) : file.utf8Slice(start, end);
  }

  #continuedValue(slot: number, keyLength: number): string {
    const scanner = new LineScanner(this.#file);
    scanner.at = this.#index.startIn(slot);
    scanner.next();
    return trimBlanks(Buffer.from(scanner.octets().slice(keyLength), "latin1").toString("utf8"));
  }

  /** The offset of the line that holds this key; -1 when none does. */
  #startOf(folded: string): number {
    const slot = this.#index.find(folded);
    return slot >= 0 ? this.#index.startIn(slot) : (this.#odd.get(folded)?.start ?? -1);
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
