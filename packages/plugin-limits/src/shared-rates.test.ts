// What the store does not take at once it hears of later: a failure, and events that come while it is being told.
import { createFakeClock } from "@postern/testkit";
import { expect, test } from "vitest";
import { SharedRates } from "./shared-rates.ts";

const rate = { most: 1000, windowMs: 3_600_000 };

test("what a failing store did not take it is told again, without another event", async () => {
  const clock = createFakeClock();
  const told = new Map<string, number>();
  let fails = true;
  const increment = (key: string, by: number): number => {
    if (fails) throw new Error("the disk is on fire");
    told.set(key, (told.get(key) ?? 0) + by);
    return told.get(key) ?? 0;
  };
  const errors: unknown[] = [];
  const rates = new SharedRates({ increment }, clock, (error) => errors.push(error));
  for (const key of ["a", "b", "c", "a"]) rates.exceeds(key, rate);
  await clock.run(1000);
  expect([errors.length, told.size]).toEqual([1, 0]);
  fails = false;
  await clock.run(1000);
  expect(Object.fromEntries(told)).toEqual({ a: 2, b: 1, c: 1 });
  expect(clock.pending).toBe(0);
});

test("an event while a slow store is told of the last one is not forgotten", async () => {
  const clock = createFakeClock();
  const asked: { readonly by: number; readonly answer: (sum: number) => void }[] = [];
  const increment = (_: string, by: number): Promise<number> => new Promise((answer) => asked.push({ by, answer }));
  const rates = new SharedRates({ increment }, clock, () => undefined);
  rates.exceeds("a", rate);
  await clock.run(1000);
  rates.exceeds("a", rate);
  rates.exceeds("a", rate);
  await clock.run(5000);
  asked[0]?.answer(1);
  await clock.run(1000);
  expect(asked.map(({ by }) => by)).toEqual([1, 2]);
  asked[1]?.answer(3);
  await rates.close();
  expect(clock.pending).toBe(0);
});
