import { expect, test } from "vitest";
import type { OnError } from "../../guard/owner.ts";
import { warnOfLargeMessages } from "./large-messages.ts";

test.each<[onError: OnError, messageSizeBytes: number, dry: boolean, warnings: number]>([
  ["defer", 1_001, false, 1],
  [{ down: "skip" }, 1_001, false, 1],
  ["defer", 1_000, false, 0],
  ["defer", 1_001, true, 0],
  ["reject", 1_001, false, 0],
  [{ tooLarge: "skip" }, 1_001, false, 0],
])("%j, messages of %i bytes, dry: %s", (onError, messageSizeBytes, dry, warnings) => {
  const told: string[] = [];
  warnOfLargeMessages({ onError, messageSizeBytes, dry, log: { warn: (text) => told.push(text) } }, 1_000);
  expect(told).toHaveLength(warnings);
});
