/** Looks at all that stands in a table in memory, which may be a million lines, while mail goes on. */
import { setImmediate as turn } from "node:timers/promises";
import type { Located, LookupTable } from "./table.ts";

/** Entries before others have their turn: some milliseconds. */
const entriesPerTurn = 1000;

/** Calls `check` for every entry, in order; ends with what it throws. Nothing for a table elsewhere. */
export async function checkEntries(
  table: Pick<LookupTable, "entries">,
  check: (entry: Located) => void | Promise<void>,
): Promise<void> {
  let left = entriesPerTurn;
  for (const entry of table.entries?.() ?? []) {
    const pending = check(entry);
    if (pending !== undefined) await pending;
    left -= 1;
    if (left > 0) continue;
    left = entriesPerTurn;
    await turn();
  }
}

/** For messages: `/etc/clients, line 3, key "192.0.2.1"`. */
export function describeEntry(
  { type, name }: Pick<LookupTable, "type" | "name">,
  { file, line, key }: Located,
): string {
  const where = file === undefined ? `table ${type}:${name}` : `${file}${line === undefined ? "" : `, line ${line}`}`;
  return `${where}, key "${key}"`;
}
