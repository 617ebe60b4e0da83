// How much a randomised test does, and from which seed. `npm test` takes a sample, `npm run test:long` the full count; a
// failing test names its seed, and POSTERN_TEST_SEED=n repeats it.
import { randomInt } from "node:crypto";

/** True under `npm run test:long`. */
export const isLong = process.env.POSTERN_TEST_LONG === "1";

/** The seed of this run: POSTERN_TEST_SEED, else a new one for a long run, else always 1. */
export const seed = readSeed(process.env.POSTERN_TEST_SEED) ?? (isLong ? randomInt(1, 2 ** 31) : 1);

/** The count for this run: the sample, or under `test:long` all. */
export function sample(some: number, all: number): number {
  return isLong ? all : some;
}

/** Numbers in [0, 1) from a seed, always the same ones (mulberry32). */
export function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function readSeed(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new Error(`POSTERN_TEST_SEED is not a whole number: ${text}`);
  return number;
}
