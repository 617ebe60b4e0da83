import { expect, test } from "vitest";
import { delivered, type QueuedMessage } from "../model/index.ts";
import { entryOf, Settlements } from "./settlements.ts";

const outcome = delivered("taken");
const later = delivered("taken twice");

test.for<[said: readonly (readonly number[])[], settled: readonly number[]]>([
  [[], []],
  [[[], [2]], [2]],
  [
    [[2], [0]],
    [2, 0],
  ],
  [
    [
      [1, 1, 0],
      [0, 2],
    ],
    [1, 0, 2],
  ],
])("of %j the first word about each recipient holds", ([said, settled]) => {
  const settlements = new Settlements();
  const seen = new Set<number>();
  for (const indexes of said) {
    settlements.add(indexes.map((index) => ({ index, outcome: seen.has(index) ? later : outcome })));
    for (const index of indexes) seen.add(index);
  }
  expect(settlements.all).toEqual(settled.map((index) => ({ index, outcome })));
});

test("an entry stays as it was given out", () => {
  const message = { envelope: { recipients: [{}, {}, {}, {}] } } as unknown as QueuedMessage;
  const settlements = new Settlements();
  settlements.add([{ index: 3, outcome }]);
  settlements.add([{ index: 1, outcome }]);
  const entry = entryOf(message, settlements, undefined);
  settlements.add([{ index: 0, outcome }]);
  expect(entry.pending).toEqual([0, 2]);
  expect(entry.settled.map(({ index }) => index)).toEqual([3, 1]);
});

// With a look at all that is known for each of them this takes minutes.
test("a hundred thousand recipients, one after another", () => {
  const settlements = new Settlements();
  for (let index = 0; index < 100_000; index += 1) settlements.add([{ index, outcome }]);
  expect(settlements.all.length).toBe(100_000);
});
