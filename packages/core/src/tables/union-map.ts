/** `unionmap:{ type:name, … }`: every table is asked, what they answer is joined with commas. */
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { composedName, openInner } from "./composed.ts";
import type { Located, LookupAsk, LookupTable, TableType } from "./table.ts";

export const unionMapType: TableType = Object.freeze<TableType>({
  type: "unionmap",
  description: "Asks every table inside and joins the answers with commas.",
  composed: true,
  async open(name, scope, parameters): Promise<LookupTable> {
    const tables = await openInner("unionmap", name, scope, parameters);
    const locatable = tables.some((inner) => inner.locate !== undefined);
    const listable = tables.every((inner) => inner.entries !== undefined);
    return {
      type: "unionmap",
      name: composedName(name, tables),
      // The first decides about partial keys, the least trusted about trust (dict_union).
      kind: tables[0].kind,
      trusted: tables.every((inner) => inner.trusted),
      lookup: (key, ask) => askAll(tables, key, ask),
      ...(listable && { entries: () => allEntries(tables) }),
      ...(locatable && { locate: (key: string) => locateFirst(tables, key) }),
      close: () => Promise.resolve(),
    };
  },
});

/** Those that answer later are asked at the same time; the order of answers is the order of tables. One error is the answer of all. */
function askAll(
  tables: readonly LookupTable[],
  key: string,
  ask: LookupAsk | undefined,
): MaybePromise<string | undefined> {
  let joined: string | undefined;
  for (let at = 0; at < tables.length; at++) {
    const answer = tables[at]?.lookup(key, ask);
    if (isPromise(answer)) {
      // A table that fails at once must not leave the others' answers behind.
      const rest = tables.slice(at + 1).map(async (inner) => inner.lookup(key, ask));
      return Promise.all([answer, ...rest]).then((answers) => answers.reduce(join, joined));
    }
    joined = join(joined, answer);
  }
  return joined;
}

function join(before: string | undefined, answer: string | undefined): string | undefined {
  if (before === undefined || answer === undefined) return before ?? answer;
  return `${before},${answer}`;
}

function* allEntries(tables: readonly LookupTable[]): Generator<Located> {
  for (const inner of tables) yield* inner.entries?.() ?? [];
}

function locateFirst(tables: readonly LookupTable[], key: string): Located | undefined {
  for (const inner of tables) {
    const located = inner.locate?.(key);
    if (located !== undefined) return located;
  }
  return undefined;
}
