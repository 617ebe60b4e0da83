// When what waits comes to the disk, in turns of the event loop: under load each of them takes its time.
import { expect, test } from "vitest";
import { LazyEntries } from "./lazy-entries.ts";
import type { Change, SqliteEntries } from "./sqlite-entries.ts";

test.for([
  { what: "another space is flooded", flooded: 5000, each: 300, space: "calm" },
  { what: "very much waits before it", flooded: 19_000, each: 0, space: "flooded" },
])("an entry is written after a few turns, also when $what", async ({ flooded, each, space }) => {
  using disposables = new DisposableStack();
  const begun = Promise.withResolvers<void>();
  let isWritten = false;
  const batch = (changes: readonly Change[]): void => {
    begun.resolve();
    isWritten ||= changes.some(([, key]) => key === "late");
  };
  const entries = new LazyEntries({ batch } as Partial<SqliteEntries> as SqliteEntries, () => false);
  disposables.defer(() => entries.close());
  const entry = { text: "1", expiresAt: 1 };
  const flood = (count: number, name: string): void => {
    for (let at = 0; at < count; at++) entries.write("flooded", name + at, entry);
  };
  flood(flooded, "k");
  entries.write(space, "late", entry);
  await begun.promise;
  let turns = 0;
  for (; turns < 100 && !isWritten; turns++) {
    flood(each, `turn ${turns}:`);
    await new Promise((done) => void setImmediate(done));
  }
  expect(turns).toBeLessThan(40);
  expect(entries.size).toBeLessThanOrEqual(flooded);
});
