// Thousands of lives of the queue's store on a simulated disk; `npm run simulate -- --seed N` replays one.
import { expect, test } from "vitest";
import { simulate } from "../../packages/core/src/queue/simulation.ts";
import { sample } from "../sampling.ts";

/** The unit tests live those before. */
const first = 151;
const seeds = Number(process.env["POSTERN_SIMULATE_SEEDS"] ?? sample(2000, 50_000));

test(`${seeds} lives with faults and power cuts break no promise`, { timeout: 3_600_000 }, async () => {
  let faults = 0;
  for (let seed = first; seed < first + seeds; seed += 1) {
    const result = await simulate(seed);
    expect(result.violations).toEqual([]);
    faults += result.faults;
  }
  expect(faults).toBeGreaterThan(seeds);
});
