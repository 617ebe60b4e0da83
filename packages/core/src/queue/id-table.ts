/**
 * Numbers for ids: a hash table without an object a key, about 30 octets an id of the usual length. Numbers are small, and given again
 * when their id is gone, so that what is known of an id can stand in plain arrays.
 */

/** Octets of a row: the length, then the id. Longer ids, and others than ASCII, are kept beside. */
const rowBytes = 16;
const elsewhere = 255;

export class IdTable {
  /** Row + 1 by hash, 0 where there is none. Linear probing, at most half full. */
  #slots = new Uint32Array(128);
  #hashes = new Uint32Array(64);
  #octets: Buffer = Buffer.alloc(64 * rowBytes);
  readonly #others = new Map<number, string>();
  readonly #free: number[] = [];
  /** Rows ever given; those above are new. */
  #rows = 0;

  get size(): number {
    return this.#rows - this.#free.length;
  }

  /** The id's number, -1 when it is not here. */
  find(id: string): number {
    const mask = this.#slots.length - 1;
    const hash = hashOf(id);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0 || (this.#hashes[row] === hash && this.#is(row, id))) return row;
    }
  }

  /** A number for an id that is not here. */
  add(id: string): number {
    if ((this.size + 1) * 2 > this.#slots.length) this.#widen();
    const row = this.#free.pop() ?? this.#newRow();
    const hash = hashOf(id);
    this.#hashes[row] = hash;
    this.#write(row, id);
    this.#place(row, hash);
    return row;
  }

  delete(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[row] as number) & mask;
    while (this.#slots[slot] !== row + 1) slot = (slot + 1) & mask;
    // Whatever was pushed on by this one moves back, so that no search ends at the hole.
    for (let next = slot; ;) {
      next = (next + 1) & mask;
      const other = this.#slots[next] as number;
      if (other === 0) break;
      const home = (this.#hashes[other - 1] as number) & mask;
      if (((next - home) & mask) < ((next - slot) & mask)) continue;
      this.#slots[slot] = other;
      slot = next;
    }
    this.#slots[slot] = 0;
    if (this.#octets[row * rowBytes] === elsewhere) this.#others.delete(row);
    this.#octets[row * rowBytes] = 0;
    this.#free.push(row);
  }

  idOf(row: number): string {
    const start = row * rowBytes;
    const length = this.#octets[start] as number;
    if (length === elsewhere) return this.#others.get(row) ?? "";
    return this.#octets.toString("latin1", start + 1, start + 1 + length);
  }

  /** All numbers in use; may go on while ids come and go. */
  *rows(): Generator<number> {
    for (let row = 0; row < this.#rows; row += 1) if (this.#octets[row * rowBytes] !== 0) yield row;
  }

  #is(row: number, id: string): boolean {
    const start = row * rowBytes;
    const length = this.#octets[start];
    if (length === elsewhere) return this.#others.get(row) === id;
    if (length !== id.length) return false;
    for (let at = 0; at < id.length; at += 1) if (this.#octets[start + 1 + at] !== id.charCodeAt(at)) return false;
    return true;
  }

  #write(row: number, id: string): void {
    const start = row * rowBytes;
    let plain = id.length > 0 && id.length < rowBytes;
    for (let at = 0; plain && at < id.length; at += 1) {
      const code = id.charCodeAt(at);
      plain = code < 128;
      this.#octets[start + 1 + at] = code;
    }
    this.#octets[start] = plain ? id.length : elsewhere;
    if (!plain) this.#others.set(row, id);
  }

  #place(row: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }

  #newRow(): number {
    const row = this.#rows;
    this.#rows += 1;
    if (row === this.#hashes.length) {
      const rows = row + Math.max(row >> 1, 64);
      this.#hashes = widened(this.#hashes, new Uint32Array(rows));
      this.#octets = widened(this.#octets, Buffer.alloc(rows * rowBytes));
    }
    return row;
  }

  #widen(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (const row of this.rows()) this.#place(row, this.#hashes[row] as number);
  }
}

/** FNV-1a over the code units, mixed once more: ids that follow each other differ in their last characters alone. */
function hashOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at += 1) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** `next`, begun as `old` was. */
export function widened<T extends Uint32Array | Float64Array | Uint8Array>(old: T, next: T): T {
  next.set(old);
  return next;
}
