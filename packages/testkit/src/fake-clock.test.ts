import { stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

test("timers run at their due times, equal ones in the order they were set, also those that timers set", () => {
  const clock = createFakeClock(1_000);
  const seen: [string, number, number][] = [];
  const note = (name: string) => () => seen.push([name, clock.now(), clock.monotonic()]);
  clock.setTimer(note("late"), 30);
  clock.setTimer(note("a"), 10);
  clock.setTimer(note("b"), 10);
  clock.setTimer(() => clock.setTimer(note("nested"), 5), 10);
  clock.setTimer(note("never"), 20).cancel();
  clock.advance(29);
  expect(seen).toEqual([
    ["a", 1_010, 10],
    ["b", 1_010, 10],
    ["nested", 1_015, 15],
  ]);
  expect([clock.now(), clock.pending]).toEqual([1_029, 1]);
});

test("run lets promises go on between timers", async () => {
  const clock = createFakeClock();
  const seen: number[] = [];
  const loop = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 10));
      seen.push(clock.monotonic());
    }
  };
  const done = loop();
  await clock.run(30);
  await done;
  expect(seen).toEqual([10, 20, 30]);
});

test("runUntil waits for the disk, however long it takes, and runs what is set behind it", async () => {
  const clock = createFakeClock();
  let read = false;
  void stat(import.meta.dirname).then(() => clock.setTimer(() => (read = true), 250));
  await clock.runUntil(() => read);
  expect([read, clock.pending]).toEqual([true, 0]);
});

test("the wall clock may go back; durations do not", () => {
  const clock = createFakeClock(5_000);
  clock.advance(10);
  clock.setWallClock(0);
  clock.advance(10);
  expect([clock.now(), clock.monotonic()]).toEqual([10, 20]);
});
