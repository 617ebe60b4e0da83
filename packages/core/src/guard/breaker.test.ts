import { expect, test } from "vitest";
import { Breaker, failuresToOpen } from "./breaker.ts";

/** An open one, as of 0 ms. */
function openedBreaker(): Breaker {
  const breaker = new Breaker();
  for (let at = 1; at < failuresToOpen; at++) expect(breaker.failed("pass", 0)).toBe(false);
  expect(breaker.failed("pass", 0)).toBe(true);
  return breaker;
}

test("opens after failures in a row, not after as many with an answer between them", () => {
  const breaker = new Breaker();
  for (let round = 0; round < 10; round++) {
    for (let at = 1; at < failuresToOpen; at++) breaker.failed("pass", 0);
    expect(breaker.succeeded(0)).toBeUndefined();
  }
  expect(breaker.ask(0)).toBe("pass");
  expect(openedBreaker().ask(0)).toBe("refuse");
});

test("waits 1 s, then twice as long each time, at most 5 s; one probe at a time", () => {
  const breaker = openedBreaker();
  let now = 0;
  const waits: number[] = [];
  for (let round = 0; round < 7; round++) {
    const wait = breaker.waitMs(now);
    waits.push(wait);
    expect(breaker.ask(now + wait - 1)).toBe("refuse");
    now += wait;
    expect([breaker.ask(now), breaker.ask(now)]).toEqual(["probe", "refuse"]);
    expect(breaker.waitMs(now)).toBe(0);
    expect(breaker.failed("probe", now)).toBe(false);
  }
  expect(waits).toEqual([1000, 2000, 4000, 5000, 5000, 5000, 5000]);
  expect(breaker.failures).toBe(failuresToOpen + 7);
  breaker.ask(now + 5000);
  expect(breaker.succeeded(now + 30_100)).toBe(now + 30_100);
  expect([breaker.ask(now), breaker.ask(now), breaker.failures]).toEqual(["pass", "pass", 0]);
  // The next time it starts from 1 s again.
  for (let at = 0; at < failuresToOpen; at++) breaker.failed("pass", now);
  expect(breaker.waitMs(now)).toBe(1000);
});

test("stragglers: a failure begun before it opened does not count, an answer closes it", () => {
  const breaker = openedBreaker();
  expect(breaker.failed("pass", 500)).toBe(false);
  expect(breaker.waitMs(500)).toBe(500);
  expect(breaker.ask(1000)).toBe("probe");
  expect(breaker.failed("pass", 1001)).toBe(false);
  expect(breaker.ask(1001)).toBe("refuse");
  expect(breaker.succeeded(1500)).toBe(1500);
  expect(breaker.ask(1500)).toBe("pass");
});

test("a probe that nobody waits for any more makes room for the next", () => {
  const breaker = openedBreaker();
  expect([breaker.ask(1000), breaker.ask(1000)]).toEqual(["probe", "refuse"]);
  breaker.abandoned("pass");
  expect(breaker.ask(1000)).toBe("refuse");
  breaker.abandoned("probe");
  expect(breaker.ask(1000)).toBe("probe");
});
