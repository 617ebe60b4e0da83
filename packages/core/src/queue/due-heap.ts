/**
 * Keys ordered by due time: an indexed binary heap. 64 octets a key beside the key itself, O(log n) for every change, so that a
 * million waiting messages are cheap to hold and one of them is quickly found.
 */

export class DueHeap {
  #due = new Float64Array(64);
  readonly #keys: string[] = [];
  readonly #places = new Map<string, number>();

  get size(): number {
    return this.#keys.length;
  }

  has(key: string): boolean {
    return this.#places.has(key);
  }

  keys(): IterableIterator<string> {
    return this.#places.keys();
  }

  /** Due time of the first key; `Infinity` when empty. */
  get firstDue(): number {
    return this.#keys.length === 0 ? Infinity : (this.#due[0] ?? Infinity);
  }

  /** Adds a key or moves it to another time. */
  set(key: string, due: number): void {
    const known = this.#places.get(key);
    if (known !== undefined) {
      this.#sift(known, key, due);
      return;
    }
    const place = this.#keys.length;
    if (place === this.#due.length) {
      const wider = new Float64Array(this.#due.length * 2);
      wider.set(this.#due);
      this.#due = wider;
    }
    this.#keys.push(key);
    this.#sift(place, key, due);
  }

  /** Gives all the same time. */
  setAll(due: number): void {
    this.#due.fill(due, 0, this.#keys.length);
  }

  /** Takes the first key out if it is due at `now`. */
  popDue(now: number): string | undefined {
    const first = this.#keys[0];
    if (first === undefined || this.firstDue > now) return undefined;
    this.delete(first);
    return first;
  }

  delete(key: string): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#places.delete(key);
    const last = this.#keys.length - 1;
    const moved = this.#keys[last] as string;
    const due = this.#due[last] as number;
    this.#keys.pop();
    if (place !== last) this.#sift(place, moved, due);
    return true;
  }

  /** Puts `key` at `place` or wherever the order wants it, up or down from there. */
  #sift(start: number, key: string, due: number): void {
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if ((this.#due[parent] as number) <= due) break;
      this.#put(place, this.#keys[parent] as string, this.#due[parent] as number);
      place = parent;
    }
    const { length } = this.#keys;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && (this.#due[child + 1] as number) < (this.#due[child] as number)) child += 1;
      if ((this.#due[child] as number) >= due) break;
      this.#put(place, this.#keys[child] as string, this.#due[child] as number);
      place = child;
    }
    this.#put(place, key, due);
  }

  #put(place: number, key: string, due: number): void {
    this.#keys[place] = key;
    this.#due[place] = due;
    this.#places.set(key, place);
  }
}
