import { expect, test } from "vitest";
import { seededRandom } from "../queue/seeded-random.ts";
import { TransientMap, TransientSet } from "./transient-map.ts";

test("a Map and a TransientMap given the same calls hold the same, in the same order", () => {
  const random = seededRandom(7);
  const map = new Map<number, number>();
  const transient = new TransientMap<number, number>();
  for (let step = 0; step < 20_000; step += 1) {
    // Mostly a few entries that come and go, now and then many.
    const key = Math.floor(random() * (step % 5000 < 4000 ? 30 : 3000));
    if (random() < 0.5) {
      map.set(key, step);
      transient.set(key, step);
    } else {
      expect(transient.delete(key)).toBe(map.delete(key));
    }
    expect(transient.size).toBe(map.size);
    expect(transient.get(key)).toBe(map.get(key));
    expect(transient.has(key)).toBe(map.has(key));
  }
  expect([...transient]).toEqual([...map]);
  expect([...transient.keys()]).toEqual([...map.keys()]);
  expect([...transient.values()]).toEqual([...map.values()]);
});

test("a walk goes on over entries that are deleted and added on the way", () => {
  const set = new TransientSet<number>();
  for (let member = 0; member < 100; member += 1) set.add(member);
  const walked: number[] = [];
  for (const member of set) {
    walked.push(member);
    set.delete(member);
    if (member < 100) set.add(member + 1000);
  }
  expect(walked.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, member) => member));
  expect([...set].every((member) => member >= 1000)).toBe(true);
});
