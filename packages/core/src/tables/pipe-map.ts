/** `pipemap:{ type:name, … }`: the answer of one table is the key of the next; where one has nothing, there is nothing. */
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { composedName, openInner } from "./composed.ts";
import type { Located, LookupAsk, LookupTable, TableType } from "./table.ts";

export const pipeMapType: TableType = Object.freeze<TableType>({
  type: "pipemap",
  description: "Asks the tables inside one after the other, each with the answer of the one before.",
  composed: true,
  async open(name, scope, parameters): Promise<LookupTable> {
    const tables = await openInner("pipemap", name, scope, parameters);
    const last = tables.at(-1);
    const locatable = tables.every((inner) => inner.locate !== undefined);
    return {
      type: "pipemap",
      name: composedName(name, tables),
      kind: tables[0].kind,
      trusted: tables.every((inner) => inner.trusted),
      lookup: (key, ask) => askFrom(tables, 0, key, ask),
      // Whatever it answers stands in the last one.
      ...(last?.entries !== undefined && { entries: () => last.entries?.() ?? [] }),
      ...(locatable && { locate: (key: string) => locateLast(tables, key) }),
      close: () => Promise.resolve(),
    };
  },
});

function askFrom(
  tables: readonly LookupTable[],
  start: number,
  key: string,
  ask: LookupAsk | undefined,
): MaybePromise<string | undefined> {
  let value: string | undefined = key;
  for (let at = start; at < tables.length; at++) {
    const answer: MaybePromise<string | undefined> = tables[at]?.lookup(value, ask);
    if (isPromise(answer)) {
      return answer.then((late) => (late === undefined ? undefined : askFrom(tables, at + 1, late, ask)));
    }
    if (answer === undefined) return undefined;
    value = answer;
  }
  return value;
}

function locateLast(tables: readonly LookupTable[], key: string): Located | undefined {
  let located: Located | undefined;
  for (const inner of tables) {
    located = inner.locate?.(located?.value ?? key);
    if (located === undefined) return undefined;
  }
  return located;
}
