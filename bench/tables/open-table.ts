/** A table as the gateway asks it, behind its guard, and how fast it answers. */
import { createGuard, createTableRegistry, systemClock, type LookupTable, type TableType } from "@postern/core";

export function openTable(types: readonly TableType[], spec: string): Promise<LookupTable> {
  const registry = createTableRegistry({
    directory: "/",
    clock: systemClock,
    guard: createGuard(systemClock, () => undefined),
    warn: (message) => console.error(message),
  });
  for (const type of types) registry.register(type, { name: "bench", onError: "defer", deadlineMs: 60_000 });
  return registry.open(spec);
}

/** Lookups a second, of a table that answers at once. */
export function rateOf(table: LookupTable, keys: readonly string[], lookups: number): number {
  const run = (count: number) => {
    for (let at = 0; at < count; at++) void table.lookup(keys[at % keys.length] ?? "");
  };
  run(lookups / 10);
  const start = performance.now();
  run(lookups);
  return (lookups / (performance.now() - start)) * 1_000;
}
