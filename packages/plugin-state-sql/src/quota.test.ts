// What is asked of a database for a quota: never more than it can answer in time.
import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { dialectOf } from "./dialect.ts";
import { idOf, lastIdOfPart } from "./entry-id.ts";
import type { Server, Value } from "./server.ts";
import { SqlEntries } from "./sql-entries.ts";

test("a part of all ids has its share of them", () => {
  const ids = Array.from({ length: 20_000 }, (_, at) => idOf("space", `key ${hash("sha256", String(at))}`));
  for (const parts of [1, 2, 7, 40]) {
    const last = lastIdOfPart(parts);
    const within = ids.filter((id) => Buffer.compare(id, last) <= 0).length;
    expect(Math.abs(within * parts - ids.length)).toBeLessThan(parts === 1 ? 1 : 2000);
  }
});

test.for([
  { maxEntries: 50_000, entries: 50_700, parts: 1, removed: 700 },
  { maxEntries: 50_000_000, entries: 50_800_000, parts: 1000, removed: 800_000 },
])("a quota of $maxEntries is counted in one part of $parts", async ({ maxEntries, entries, parts, removed }) => {
  const dialect = dialectOf("pg", "t");
  let gone = 0;
  const server = {
    query: async (sql: string, values: readonly Value[]) => {
      if (sql === dialect.count) {
        expect(values[1]).toEqual(lastIdOfPart(parts));
        return { rows: [{ entries: entries / parts }], changed: 0 };
      }
      if (sql === dialect.trim) gone += Number(values[1]);
      return { rows: [], changed: sql === dialect.trim ? Number(values[1]) : 1 };
    },
  } as Partial<Server> as Server;
  const sql = new SqlEntries({ server, dialect, now: () => 0, warn: () => undefined });
  sql.limit("s", maxEntries);
  await sql.sweep(0);
  expect(gone).toBe(removed);
});
