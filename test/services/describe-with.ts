// Suites that need other people's programs. Apart from the starters, so that a benchmark needs no test runner.
import { describe } from "vitest";
import { requirePrograms } from "./programs.ts";

/**
 * A suite that needs programs (or `root`). Where one is missing all its tests are skipped, and the reason stands in the
 * suite's name, which is what the end of `npm test` prints.
 */
export function describeWith(needs: readonly string[], name: string, body: () => void): void {
  describeUnless(requirePrograms(...needs), name, body);
}

/** The same for any other reason; `undefined` is none. */
export function describeUnless(reason: string | undefined, name: string, body: () => void): void {
  if (reason === undefined) describe(name, body);
  else describe.skip(`${name} (${reason})`, body);
}
