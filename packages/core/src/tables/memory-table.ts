/** Tables that are read once and held in memory: they answer without a promise and show their entries. */
import type { Located, LookupTable } from "./table.ts";
import { foldKey } from "./fold.ts";

/** Entries by folded key. */
export class EntryMap {
  readonly #entries = new Map<string, Located>();

  /** The first of equal keys stays, as in a table file; false when the key is there already. */
  add(entry: Located): boolean {
    const key = foldKey(entry.key);
    if (this.#entries.has(key)) return false;
    this.#entries.set(key, entry);
    return true;
  }

  /** The last of equal keys stays, as in Postfix's inline tables; false when it took another's place. */
  replace(entry: Located): boolean {
    const { size } = this.#entries;
    this.#entries.set(foldKey(entry.key), entry);
    return this.#entries.size > size;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Located | undefined {
    return this.#entries.get(foldKey(key));
  }

  values(): Iterable<Located> {
    return this.#entries.values();
  }
}

export function createMemoryTable(type: string, name: string, entries: EntryMap): LookupTable {
  return Object.freeze({
    type,
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup: (key: string) => entries.get(key)?.value,
    entries: () => entries.values(),
    locate: (key: string) => entries.get(key),
    close: () => Promise.resolve(),
  });
}
