import { expect, test } from "vitest";
import { DueHeap } from "./due-heap.ts";
import { seededRandom } from "./seeded-random.ts";

test("agrees with a sorted map under a long random sequence of changes", () => {
  const random = seededRandom(7);
  const heap = new DueHeap();
  const model = new Map<string, number>();
  for (let step = 0; step < 20_000; step += 1) {
    const key = `k${Math.floor(random() * 300)}`;
    const dice = random();
    if (dice < 0.6) {
      const due = Math.floor(random() * 1000);
      heap.set(key, due);
      model.set(key, due);
    } else if (dice < 0.8) {
      expect(heap.delete(key)).toBe(model.delete(key));
    } else {
      const now = Math.floor(random() * 1000);
      const first = Math.min(...model.values());
      expect(heap.firstDue).toBe(first);
      const popped = heap.popDue(now);
      if (first > now) expect(popped).toBeUndefined();
      else {
        expect(model.get(popped as string)).toBe(first);
        model.delete(popped as string);
      }
    }
    expect(heap.size).toBe(model.size);
  }
  heap.setAll(5);
  expect([heap.firstDue, heap.popDue(4)]).toEqual([model.size === 0 ? Infinity : 5, undefined]);
});
