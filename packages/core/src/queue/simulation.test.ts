import { describe, expect, test } from "vitest";
import { plantedFaults, plantedSeeds } from "./planted-faults.ts";
import { simulate } from "./simulation.ts";

/** A first look; thousands of lives are lived in `test/simulation`. */
const seeds = 150;

test(`${seeds} lives with faults and power cuts break no promise`, async () => {
  let faults = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const result = await simulate(seed);
    expect(result.violations).toEqual([]);
    faults += result.faults;
  }
  expect(faults).toBeGreaterThan(seeds);
});

test("a seed replays exactly", async () => {
  for (const seed of [3, 4, 5]) {
    const [first, second] = [[], []] as [string[], string[]];
    const result = await simulate(seed, { trace: (line) => first.push(line) });
    expect(await simulate(seed, { trace: (line) => second.push(line) })).toEqual(result);
    expect(second).toEqual(first);
    expect(first.length).toBeGreaterThan(50);
  }
});

describe("a planted fault is found", () => {
  test.each(Object.entries(plantedFaults))("%s", async (_name, planted) => {
    for (let seed = 1; seed <= plantedSeeds; seed += 1) {
      const { violations } = await simulate(seed, { planted });
      if (violations.length > 0) return;
    }
    expect.fail(`${plantedSeeds} seeds found nothing`);
  });
});
