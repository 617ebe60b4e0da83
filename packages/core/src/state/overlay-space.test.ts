import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeClock } from "@postern/testkit";
import { afterAll, expect, test } from "vitest";
import { createMemoryStateStore } from "./memory-state-store.ts";
import { OverlaySpace } from "./overlay-space.ts";
import { openStateReader } from "./sqlite-reader.ts";
import { openSqliteStateStore } from "./sqlite-state-store.ts";

const minute = 60_000;

test("reads what is below, changed by what was written above, and never writes through", async () => {
  const clock = createFakeClock();
  const below = createMemoryStateStore({ clock }).space<number>("s");
  for (const [key, value] of [
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ] as const)
    await below.put(key, value, 10 * minute);
  const space = new OverlaySpace<number>(below, clock);
  space.put("b", 20, minute);
  space.delete("c");
  expect(await space.increment("a", 5, minute)).toBe(6);
  expect(await space.increment("n", 1, minute)).toBe(1);
  expect(await space.update("d", minute, (current) => (current ?? 0) + 4)).toBe(4);
  expect(await space.scan("", 10)).toEqual([
    ["a", 6],
    ["b", 20],
    ["d", 4],
    ["n", 1],
  ]);
  expect([await space.get("c"), await space.get("b")]).toEqual([undefined, 20]);
  expect(await below.scan("", 10)).toEqual([
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
  clock.advance(minute);
  // What was written above has expired and hides what is below until it is forgotten.
  expect(await space.get("b")).toBeUndefined();
  space.reset();
  expect(await space.scan("", 10)).toEqual([
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
});

test("a lease that somebody holds below is not taken", async () => {
  const clock = createFakeClock();
  const below = createMemoryStateStore({ clock }).space<string>("s");
  await below.lease("held", "other", minute);
  const space = new OverlaySpace<string>(below, clock);
  expect([await space.lease("held", "me", minute), await space.lease("free", "me", minute)]).toEqual([false, true]);
  expect(await below.lease("free", "other", minute)).toBe(true);
});

const home = mkdtempSync(join(tmpdir(), "postern-reader-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

test("the file of a store that is open is read, and cannot be written", async () => {
  const clock = createFakeClock();
  expect(openStateReader(home, clock)).toBeUndefined();
  const store = openSqliteStateStore({ directory: home, clock });
  const written = store.space<number>("greylist/triplets");
  await written.put("a", 1, minute);
  const reader = openStateReader(home, clock);
  const read = reader?.space<number>("greylist/triplets");
  expect([read?.get("a"), read?.get("b"), reader?.space("other").get("a")]).toEqual([1, undefined, undefined]);
  await written.put("ab", 2, 10 * minute);
  expect(read?.scan("a", 10)).toEqual([
    ["a", 1],
    ["ab", 2],
  ]);
  clock.advance(minute);
  expect(read?.scan("a", 10)).toEqual([["ab", 2]]);
  reader?.close();
  await store.close();
});
