import { describe, expect, test } from "vitest";
import { plantedFaults } from "./planted-faults.ts";
import { simulate } from "./simulation.ts";

const seeds = Number(process.env["POSTERN_SIMULATE_SEEDS"] ?? 150);

test(`${seeds} lives with faults and power cuts break no promise`, { timeout: 600_000 }, async () => {
  let faults = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const result = await simulate(seed);
    expect(result.violations).toEqual([]);
    faults += result.faults;
  }
  expect(faults).toBeGreaterThan(seeds);
});

test("a seed replays exactly", async () => {
  for (const seed of [3, 4, 5]) expect(await simulate(seed)).toEqual(await simulate(seed));
});

describe("a planted fault is found", () => {
  test.each(Object.entries(plantedFaults))("%s", { timeout: 60_000 }, async (_name, planted) => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const { violations } = await simulate(seed, planted);
      if (violations.length > 0) return;
    }
    expect.fail("300 seeds found nothing");
  });
});
