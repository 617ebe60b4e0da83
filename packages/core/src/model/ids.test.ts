import { expect, it } from "vitest";
import { createIdSource } from "./ids.ts";

it("sorts by age, on whatever clock", () => {
  // Standing, going on by less than a microsecond, going back, jumping.
  const clock = [1000, 1000, 1000.0001, 1000.5, 999, 5, 1001, 2_000_000_000_000, 1001, 2_000_000_000_000.5];
  let at = 0;
  const next = createIdSource(
    () => clock[at++] ?? 0,
    () => 0.5,
  );
  const ids = clock.map(() => next());
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

it("is thirteen characters without vowels, safe in file names and headers", () => {
  for (const [now, random] of [
    [0, 0],
    [1_767_225_600_000, 0.999_999_999],
    [2 ** 41, 0.5],
  ] as const) {
    const id = createIdSource(
      () => now,
      () => random,
    )();
    expect(id).toMatch(/^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{13}$/);
  }
});

it("differs between two processes that start in the same microsecond", () => {
  const first = createIdSource(
    () => 1000,
    () => 0.1,
  )();
  const second = createIdSource(
    () => 1000,
    () => 0.2,
  )();
  expect(first.slice(0, 9)).toBe(second.slice(0, 9));
  expect(first).not.toBe(second);
});
