import { expect, it } from "vitest";
import { median, percentile } from "./statistics.ts";

it.each([
  { values: [3, 1, 2], expected: 2 },
  { values: [10, 9, 1, 2], expected: 5.5 },
  { values: [7], expected: 7 },
  { values: [], expected: Number.NaN },
])("the median of $values is $expected", ({ values, expected }) => {
  expect(median(values)).toBe(expected);
});

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

it.each([
  { values: hundred, percent: 50, expected: 50 },
  { values: hundred, percent: 99, expected: 99 },
  { values: hundred, percent: 100, expected: 100 },
  { values: [5, 1], percent: 99, expected: 5 },
  { values: [5, 1], percent: 50, expected: 1 },
  { values: [4], percent: 0, expected: 4 },
  { values: [], percent: 50, expected: Number.NaN },
])("$percent % of $values.length values do not exceed $expected", ({ values, percent, expected }) => {
  expect(percentile(values, percent)).toBe(expected);
});
