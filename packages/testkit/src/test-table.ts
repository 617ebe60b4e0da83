/** A table type under test: opened and asked as the gateway does, its three results kept apart. */
import { createGuard, createTableRegistry, systemClock, TableUnavailable, type TableType } from "@postern/core";
import { runCases } from "./cases.ts";

export interface TableCase {
  readonly name: string;
  readonly key: string;
  /** Runs before the lookup. */
  readonly before?: () => unknown;
  /** The value; `undefined`: not found; `"unavailable"` as an object: it could not be asked. */
  readonly expect: string | undefined | { readonly unavailable: true };
}

export interface TableTest {
  /** What stands after `type:`. */
  readonly open: string;
  readonly directory?: string;
  readonly cases: readonly TableCase[];
}

export async function testTable(type: TableType, { open, directory = process.cwd(), cases }: TableTest): Promise<void> {
  const guard = createGuard(systemClock, () => undefined);
  const owner = { name: "test", onError: "defer", deadlineMs: 10_000 } as const;
  const tables = createTableRegistry({ directory, clock: systemClock, guard, warn: () => undefined });
  tables.register(type, owner);
  try {
    const table = await tables.open(`${type.type}:${open}`);
    if (table.kind !== "indexed" && table.kind !== "pattern")
      throw new Error(`${type.type}: kind is "indexed" or "pattern"`);
    for (const { key, value } of table.entries?.() ?? []) {
      if (typeof key !== "string" || typeof value !== "string")
        throw new Error(`${type.type}: entries() gives keys and values as strings`);
    }
    await runCases(`table ${type.type}:${open}`, cases, async ({ key, before, expect }) => {
      await before?.();
      let found: string;
      try {
        found = JSON.stringify(await table.lookup(key)) ?? "not found";
      } catch (error) {
        if (!(error instanceof TableUnavailable)) throw error;
        found = "unavailable";
      }
      const wanted = typeof expect === "object" ? "unavailable" : (JSON.stringify(expect) ?? "not found");
      if (found !== wanted) throw new Error(`expected ${wanted}, got ${found}`);
    });
  } finally {
    await tables.close();
  }
}
