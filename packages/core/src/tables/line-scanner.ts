/**
 * Where the logical lines of a text file in postmap's format begin and end, by offsets and without a string: for files of a
 * million lines. `logicalLines` says the same of small ones.
 */

const newline = 0x0a;
const hash = 0x23;

/** C's isspace in ASCII without the newline; 0 beyond the end of the file. */
export function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09 || (octet !== undefined && octet >= 0x0b && octet <= 0x0d);
}

export class LineScanner {
  /** Of the logical line: where its first physical line begins. */
  start = 0;
  /** Where its first physical line ends: at a newline or at the end of the file. */
  firstEnd = 0;
  /** Where its last physical line ends; beyond `firstEnd` when it is continued. */
  end = 0;
  /** Everything before is done. */
  at = 0;
  readonly #file: Buffer;
  readonly #length: number;

  constructor(file: Buffer) {
    this.#file = file;
    this.#length = file.length;
  }

  /** Goes to the next logical line; false at the end. */
  next(): boolean {
    this.start = this.#skip(this.at);
    if (this.start >= this.#length) return false;
    this.firstEnd = this.#endOfLine(this.start);
    this.end = this.firstEnd;
    let next = this.firstEnd + 1;
    while (next < this.#length) {
      // Most lines are followed by one that begins with a letter.
      if ((this.#file[next] as number) > hash) break;
      next = this.#skip(next);
      if (next >= this.#length || !isBlank(this.#file[next])) break;
      this.end = this.#endOfLine(next);
      next = this.end + 1;
    }
    this.at = next;
    return true;
  }

  /** The octets of this logical line as latin1, its physical lines one after the other. */
  octets(): string {
    let text = this.#file.toString("latin1", this.start, this.firstEnd);
    for (let at = this.firstEnd + 1; at < this.end;) {
      at = this.#skip(at);
      const end = this.#endOfLine(at);
      text += this.#file.toString("latin1", at, end);
      at = end + 1;
    }
    return text;
  }

  /** From the beginning of a line: where the next line begins that is neither empty nor a comment. */
  #skip(from: number): number {
    const file = this.#file;
    let at = from;
    while (at < this.#length) {
      let first = at;
      while (isBlank(file[first])) first++;
      const octet = file[first];
      if (octet === hash) at = this.#endOfLine(first) + 1;
      else if (octet === newline) at = first + 1;
      else return octet === undefined ? this.#length : at;
    }
    return at;
  }

  #endOfLine(from: number): number {
    const file = this.#file;
    const length = this.#length;
    let at = from;
    while (at < length && file[at] !== newline) at++;
    return at;
  }
}
