/**
 * A Map and a Set for what comes and goes: thousands of entries a second, few of them at a time.
 *
 * V8 keeps in each hash table that a Map has outgrown, or cleaned of deleted entries, a pointer to the table that took its
 * place. Once one such table has grown old, it holds all later ones, and they hold whatever stood in them when they were left: every
 * short-lived entry then survives until the next full collection, whose cost is many times that of a scavenge. Here the table
 * is left for a new Map, which nothing points to, long before it can grow old.
 */

/** Entries added before the table is left: enough that copying the few that are there costs next to nothing. */
const leastAdded = 64;

export class TransientMap<K, V> {
  #map = new Map<K, V>();
  #added = 0;

  get size(): number {
    return this.#map.size;
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  set(key: K, value: V): this {
    this.#added += 1;
    if (this.#added > leastAdded && this.#added > this.#map.size * 2) {
      this.#map = new Map(this.#map);
      this.#added = 0;
    }
    this.#map.set(key, value);
    return this;
  }

  delete(key: K): boolean {
    return this.#map.delete(key);
  }

  /** In the order of insertion. What is added meanwhile may or may not come; what is deleted meanwhile may still come. */
  keys(): MapIterator<K> {
    return this.#map.keys();
  }

  /** As `keys`. */
  values(): MapIterator<V> {
    return this.#map.values();
  }

  /** As `keys`. */
  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map[Symbol.iterator]();
  }
}

export class TransientSet<T> {
  readonly #members = new TransientMap<T, true>();

  get size(): number {
    return this.#members.size;
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  add(member: T): this {
    this.#members.set(member, true);
    return this;
  }

  delete(member: T): boolean {
    return this.#members.delete(member);
  }

  /** As `TransientMap.keys`. */
  [Symbol.iterator](): MapIterator<T> {
    return this.#members.keys();
  }
}
