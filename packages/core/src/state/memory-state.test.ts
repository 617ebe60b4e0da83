import { expect, test } from "vitest";
import { createMemoryState } from "./memory-state.ts";
import { stateStoreCases } from "./state-suite.ts";

for (const { name, run } of stateStoreCases) test(name, () => run((clock) => createMemoryState({ clock })));

test("beyond its limit the entry written longest ago goes", async () => {
  const store = createMemoryState({ clock: { now: () => 0 }, maxEntries: 2 });
  const space = store.space("a");
  for (const key of ["x", "y", "x", "z"]) await space.put(key, 1, 1000);
  expect((await space.scan("", 10)).map(([key]) => key)).toEqual(["x", "z"]);
});
