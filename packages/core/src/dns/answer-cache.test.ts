// What a stranger's zone can fill memory with.
import { expect, test } from "vitest";
import { createAnswerCache } from "./answer-cache.ts";

const bounds = { entries: 10_000, minTtlMs: 0, maxTtlMs: 60_000, maxNegativeTtlMs: 60_000, failureTtlMs: 5000 };

test("large answers are fewer than small ones, and what was replaced or has expired weighs nothing", () => {
  let now = 0;
  const cache = createAnswerCache(bounds, { monotonic: () => now });
  const hosts = Array.from({ length: 100 }, (_, at) => ({ exchange: `${"x".repeat(240)}${at}`, priority: at }));
  const texts = ["x".repeat(60_000)];
  for (let round = 0; round < 2000; round += 1) {
    cache.keep(`MX ${round}`, hosts, 60_000, false);
    cache.keep(`TXT ${round}`, texts, 60_000, false);
  }
  expect(cache.size).toBeGreaterThan(500);
  expect(cache.size).toBeLessThan(1000);
  expect(cache.get("MX 0")).toBeUndefined();
  expect(cache.get("MX 1999")).toBe(hosts);

  const { size } = cache;
  for (let round = 0; round < 2000; round += 1) cache.keep("TXT 1999", texts, 60_000, false);
  expect(cache.size).toBe(size);
  now = 60_000;
  for (let round = 0; round < 2000; round += 1) {
    cache.get(`MX ${round}`);
    cache.get(`TXT ${round}`);
  }
  expect(cache.size).toBe(0);
  for (let round = 0; round < 9000; round += 1) cache.keep(`A ${round}`, ["192.0.2.1"], 60_000, false);
  expect(cache.size).toBe(9000);
});
