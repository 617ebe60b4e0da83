// Suites that need other people's programs. Apart from the starters, so that a benchmark needs no test runner.
import { describe } from "vitest";
import { requirePrograms } from "./programs.ts";

/**
 * A suite that needs programs (or `root`). Where one is missing all its tests are skipped, and the reason stands in the
 * suite's name, which is what the end of `npm test` prints.
 */
export function describeWith(needs: readonly string[], name: string, body: () => void): void {
  const reason = requirePrograms(...needs);
  if (reason === undefined) describe(name, body);
  else describe.skip(`${name} (${reason})`, body);
}
