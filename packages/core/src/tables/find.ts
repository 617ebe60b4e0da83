/** Several tables asked as one: each key goes to every table before the next key is tried (maps_find). */
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import type { SearchTurn } from "./search-order.ts";
import type { LookupTable } from "./table.ts";

/** What is needed of a table to ask it. */
export type AskedTable = Omit<LookupTable, "close">;

export interface Match {
  readonly table: AskedTable;
  readonly key: string;
  readonly value: string;
}

/**
 * The first match. `keys` is a search order: its first key goes to all tables, the others to indexed tables only. The first
 * table that cannot be asked ends the search with `TableUnavailable`: what it would have said is not known.
 */
export function findFirst(tables: readonly AskedTable[], keys: readonly string[]): MaybePromise<Match | undefined> {
  return findFrom(tables, keys, 0);
}

/** The same for several search orders in turn, such as those of each form of an address. */
export function findInTurns(
  tables: readonly AskedTable[],
  turns: readonly SearchTurn[],
  start = 0,
): MaybePromise<Match | undefined> {
  for (let at = start; at < turns.length; at++) {
    const found = findFirst(tables, turns[at] as SearchTurn);
    if (isPromise(found)) return found.then((late) => late ?? findInTurns(tables, turns, at + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

function findFrom(
  tables: readonly AskedTable[],
  keys: readonly string[],
  start: number,
): MaybePromise<Match | undefined> {
  const end = keys.length * tables.length;
  for (let at = start; at < end; at++) {
    const table = tables[at % tables.length] as AskedTable;
    if (at >= tables.length && table.kind === "pattern") continue;
    const key = keys[Math.floor(at / tables.length)] as string;
    const value = table.lookup(key);
    if (isPromise(value)) {
      return value.then((late) => (late === undefined ? findFrom(tables, keys, at + 1) : { table, key, value: late }));
    }
    if (value !== undefined) return { table, key, value };
  }
  return undefined;
}
