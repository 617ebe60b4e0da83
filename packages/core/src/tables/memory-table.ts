/** Tables that are read once and held in memory: they answer without a promise and show their entries. */
import type { Located, LookupTable } from "./table.ts";
import { foldKey } from "./fold.ts";

/** What a table in memory holds, by folded key (`foldKey`). A registry's table folds for its type: fold no key twice. */
export interface TableEntries {
  readonly size: number;
  get(folded: string): string | undefined;
  locate(folded: string): Located | undefined;
  /** In the order in which they were written. */
  all(): Iterable<Located>;
}

/** Entries that are written down one by one. */
export class EntryMap implements TableEntries {
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

  get(folded: string): string | undefined {
    return this.#entries.get(folded)?.value;
  }

  locate(folded: string): Located | undefined {
    return this.#entries.get(folded);
  }

  all(): Iterable<Located> {
    return this.#entries.values();
  }
}

export function createMemoryTable(type: string, name: string, entries: TableEntries): LookupTable {
  return Object.freeze({
    type,
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup: (key: string) => entries.get(key),
    entries: () => entries.all(),
    locate: (key: string) => entries.locate(key),
    close: () => Promise.resolve(),
  });
}
