/**
 * Keys ordered by due time: an indexed binary heap in plain arrays, about 50 octets a key with the key itself, O(log n) for every
 * change, so that a million waiting messages are cheap to hold and one of them is quickly found.
 */
import { IdTable, widened } from "./id-table.ts";

export class DueHeap {
  readonly #ids = new IdTable();
  /** By place in the heap. */
  #due = new Float64Array(64);
  #rows = new Uint32Array(64);
  /** By the id's number. */
  #places = new Uint32Array(64);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(key: string): boolean {
    return this.#ids.find(key) >= 0;
  }

  *keys(): Generator<string> {
    for (const row of this.#ids.rows()) yield this.#ids.idOf(row);
  }

  /** Due time of the first key; `Infinity` when empty. */
  get firstDue(): number {
    return this.#size === 0 ? Infinity : (this.#due[0] ?? Infinity);
  }

  /** Adds a key or moves it to another time. */
  set(key: string, due: number): void {
    const known = this.#ids.find(key);
    if (known >= 0) {
      this.#sift(this.#places[known] as number, known, due);
      return;
    }
    const place = this.#size;
    this.#size += 1;
    if (place === this.#due.length) {
      this.#due = widened(this.#due, new Float64Array(place * 2));
      this.#rows = widened(this.#rows, new Uint32Array(place * 2));
      this.#places = widened(this.#places, new Uint32Array(place * 2));
    }
    this.#sift(place, this.#ids.add(key), due);
  }

  /** Gives all the same time. */
  setAll(due: number): void {
    this.#due.fill(due, 0, this.#size);
  }

  /** Takes the first key out if it is due at `now`. */
  popDue(now: number): string | undefined {
    if (this.firstDue > now) return undefined;
    const first = this.#rows[0] as number;
    const key = this.#ids.idOf(first);
    this.#delete(first);
    return key;
  }

  delete(key: string): boolean {
    const row = this.#ids.find(key);
    if (row >= 0) this.#delete(row);
    return row >= 0;
  }

  #delete(row: number): void {
    const place = this.#places[row] as number;
    this.#ids.delete(row);
    this.#size -= 1;
    const last = this.#size;
    if (place !== last) this.#sift(place, this.#rows[last] as number, this.#due[last] as number);
  }

  /** Puts a key at `place` or wherever the order wants it, up or down from there. */
  #sift(start: number, row: number, due: number): void {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if ((this.#due[parent] as number) <= due) break;
      this.#put(place, this.#rows[parent] as number, this.#due[parent] as number);
      place = parent;
    }
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && (this.#due[child + 1] as number) < (this.#due[child] as number)) child += 1;
      if ((this.#due[child] as number) >= due) break;
      this.#put(place, this.#rows[child] as number, this.#due[child] as number);
      place = child;
    }
    this.#put(place, row, due);
  }

  #put(place: number, row: number, due: number): void {
    this.#rows[place] = row;
    this.#due[place] = due;
    this.#places[row] = place;
  }
}
