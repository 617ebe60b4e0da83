import { expect, test } from "vitest";
import { isExpired, nextAttemptAt, retryDefaults } from "./retry.ts";

const minute = 60_000;
const day = 1440 * minute;
const start = Date.UTC(2026, 0, 1);
const steady = { ...retryDefaults, jitter: 0 };

test.each([
  // age, wish of the peer, wait
  [0, undefined, 300_000],
  [299_000, undefined, 300_000],
  [600_000, undefined, 600_000],
  [1_200_000, undefined, 1_200_000],
  [3_999_999, undefined, 3_999_999],
  [day, undefined, 4_000_000],
  [-day, undefined, 300_000], // the clock was set back
  [day, 60_000, 60_000],
  [day, 0, 1000],
  [day, -5, 1000],
  [day, 1e12, 4_000_000],
])("a message of age %d ms, asked %s, waits %d ms", (age, asked, wait) => {
  expect(nextAttemptAt(steady, { arrivedAt: start - age, bounce: false }, start, 0.3, asked)).toBe(start + wait);
});

test("waits double, and the last attempt is made when the lifetime ends", () => {
  const due: number[] = [];
  const message = { arrivedAt: start, bounce: false };
  for (let now = start; !isExpired(steady, start, false, now);) {
    now = nextAttemptAt(steady, message, now, 0.5);
    due.push((now - start) / 1000);
  }
  expect(due.slice(0, 6)).toEqual([300, 600, 1200, 2400, 4800, 8800]);
  expect(due.at(-1)).toBe((5 * day) / 1000);
});

test("jitter spreads both ways around the age, and only later than a wish", () => {
  const options = { ...retryDefaults, jitter: 0.1 };
  const message = { arrivedAt: start - 1_000_000, bounce: false };
  expect(nextAttemptAt(options, message, start, 0)).toBe(start + 900_000);
  expect(nextAttemptAt(options, message, start, 0.5)).toBe(start + 1_000_000);
  expect(nextAttemptAt(options, message, start, 0.999_999)).toBe(start + 1_100_000);
  expect(nextAttemptAt(options, message, start, 0, 10_000)).toBe(start + 10_000);
});

test("bounces have their own lifetime", () => {
  const options = { ...retryDefaults, bounceLifetimeMs: minute };
  expect(isExpired(options, start, true, start + minute)).toBe(true);
  expect(isExpired(options, start, false, start + minute)).toBe(false);
  expect(isExpired({ ...options, lifetimeMs: 0 }, start, false, start)).toBe(true);
});
