import { expect, test } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { AnswerCache } from "./answer-cache.ts";

test("keeps found and not found until the time is over", () => {
  const cache = new AnswerCache({ ttlMs: 1000, entries: 10 });
  cache.set("a", "1", 0);
  cache.set("b", undefined, 500);
  expect([cache.get("a", 999)?.value, cache.get("b", 999)]).toEqual([
    "1",
    expect.objectContaining({ value: undefined }),
  ]);
  expect([cache.get("a", 1000), cache.get("c", 0)]).toEqual([undefined, undefined]);
  expect(cache.get("b", 1499)).toBeDefined();
  // Being read does not make it younger.
  expect(cache.get("b", 1500)).toBeUndefined();
});

test("lets go of the least recently used, by number and by octets", () => {
  const few = new AnswerCache({ ttlMs: 1000, entries: 3 });
  for (const key of ["a", "b", "c"]) few.set(key, key, 0);
  few.get("a", 0);
  few.set("d", "d", 0);
  expect(["a", "b", "c", "d"].filter((key) => few.get(key, 0))).toEqual(["a", "c", "d"]);

  const small = new AnswerCache({ ttlMs: 1000, entries: 1000, octets: 10_000 });
  small.set("small", "x", 0);
  small.set("far too large", "x".repeat(5000), 0);
  expect([small.get("small", 0)?.value, small.get("far too large", 0)]).toEqual(["x", undefined]);
  for (let at = 0; at < 10; at++) small.set(`k${at}`, "x".repeat(498), 0);
  expect(["small", "k0", "k1", "k8"].map((key) => small.get(key, 0) !== undefined)).toEqual([false, false, true, true]);
});

test("what is over makes room", () => {
  const cache = new AnswerCache({ ttlMs: 10, entries: 1000, octets: 1000 });
  for (let now = 0; now < 100_000; now += 10) {
    cache.set("first", "x".repeat(100), now);
    cache.set("second", "x".repeat(100), now);
    expect(cache.get("first", now)).toBeDefined();
    expect([cache.get("first", now + 10), cache.get("second", now + 10)]).toEqual([undefined, undefined]);
  }
});

test("against a plain list, a thousand random steps", () => {
  const next = randomFrom(4);
  const below = (count: number) => Math.floor(next() * count);
  const cache = new AnswerCache({ ttlMs: 50, entries: 5 });
  let model: { key: string; value: string | undefined; until: number }[] = [];
  for (let now = 0; now < 3000; now++) {
    const key = `k${below(9)}`;
    const kept = model.find((entry) => entry.key === key);
    if (below(2) === 0) {
      const value = below(4) === 0 ? undefined : `v${now}`;
      cache.set(key, value, now);
      model = [...model.filter((entry) => entry !== kept), { key, value, until: now + 50 }].slice(-5);
    } else {
      const alive = kept !== undefined && kept.until > now;
      const answer = cache.get(key, now);
      expect([now, answer !== undefined, answer?.value]).toEqual([now, alive, alive ? kept.value : undefined]);
      model = model.filter((entry) => entry !== kept);
      if (alive) model.push(kept);
    }
  }
});
