import { expect, it } from "vitest";
import { ratiosOf, summarise } from "./row.ts";

const run = (endToEndPerSecond: number, cpuPerThousand: number) => ({
  acceptPerSecond: endToEndPerSecond,
  endToEndPerSecond,
  cpuPerThousand,
  peakMemoryBytes: 1,
});

it("takes medians over runs, percentiles over all waits, and ratios the way they are told", () => {
  const waits = Array.from({ length: 200 }, (_, index) => index + 1);
  const slow = summarise("small", "postfix", [run(500, 2), run(400, 4), run(900, 3)], waits);
  const fast = summarise("small", "postern", [run(3000, 0.5)], [1]);
  expect(slow).toMatchObject({ endToEndPerSecond: 500, cpuPerThousand: 3, latencyP50: 100, latencyP99: 198 });
  expect(ratiosOf([slow, fast], "small", "postern", "postfix")).toEqual({ rate: 6, cpuPart: 6 });
  expect(ratiosOf([slow, fast], "small", "postern", "haraka")).toBeUndefined();
});
