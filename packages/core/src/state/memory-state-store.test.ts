import { expect, test } from "vitest";
import { createMemoryStateStore } from "./memory-state-store.ts";
import { stateStoreCases } from "./state-store.fixture.ts";

for (const { name, run } of stateStoreCases) test(name, () => run((clock) => createMemoryStateStore({ clock })));

const clock = { now: () => 1_780_000_000_000 };

test("a flood in one space costs that space its oldest entries, and no other space any", () => {
  const store = createMemoryStateStore({ clock, maxEntries: 100 });
  const quiet = store.space<number>("quiet");
  const busy = store.space<number>("busy");
  for (let at = 0; at < 10; at++) void quiet.put(`q${at}`, at, 1000);
  for (let at = 0; at < 1000; at++) {
    void busy.put("often", at, 1000);
    void busy.put(`b${at}`, at, 1000);
  }
  expect(quiet.scan("", 1000)).toHaveLength(10);
  expect(busy.scan("", 1000)).toHaveLength(90);
  expect(busy.get("often")).toBe(999);
  expect(busy.get("b999")).toBe(999);
  expect(busy.get("b0")).toBeUndefined();
});

test("a space at its quota takes writes about as fast as one that grows", () => {
  const store = createMemoryStateStore({ clock });
  const entries = 100_000;
  const space = store.space<number>("s", { maxEntries: entries });
  const fill = (name: string): number => {
    const begun = process.cpuUsage();
    for (let at = 0; at < entries; at++) void space.put(`${name}${at}`, at, 1000);
    const { user, system } = process.cpuUsage(begun);
    return user + system;
  };
  const growing = fill("a");
  // A pass over what was removed at each write takes some thirty times as long, each time.
  expect(Math.min(fill("b"), fill("c"), fill("d"))).toBeLessThan(10 * growing);
});

test("large values are bounded together", () => {
  const store = createMemoryStateStore({ clock, maxLength: 100_000 });
  const space = store.space<string>("s");
  for (let at = 0; at < 100; at++) void space.put(`k${at}`, "x".repeat(9_000), 1000);
  expect(space.scan("", 1000)).toHaveLength(11);
});

test("a long sweep lets others run in between, and takes nothing that was written meanwhile", async () => {
  let now = clock.now();
  const store = createMemoryStateStore({ clock: { now: () => now } });
  const space = store.space<number>("s");
  for (let at = 0; at < 100_000; at++) void space.put(`k${at}`, at, 1000);
  now += 1000;
  const sweeping = store.sweep();
  expect(sweeping).toBeInstanceOf(Promise);
  void space.put("meanwhile", 1, 1000);
  void space.put("k99999", 1, 1000);
  // One was written anew before its turn came.
  expect(await sweeping).toBe(99_999);
  expect(space.scan("", 10)).toEqual([
    ["k99999", 1],
    ["meanwhile", 1],
  ]);
});
