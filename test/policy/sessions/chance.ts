// Choices from one row of random numbers, so that a seed decides everything.
import { randomFrom } from "../../sampling.ts";

export interface Chance {
  /** True with this probability. */
  is(probability: number): boolean;
  /** 0 … below. */
  below(count: number): number;
  one<T>(from: readonly T[]): T;
  /** By weight. */
  weighed<T>(from: readonly (readonly [weight: number, value: T])[]): T;
  /** `least` … `most` of them. */
  some<T>(least: number, most: number, make: () => T): T[];
}

export function createChance(seed: number): Chance {
  const next = randomFrom(seed);
  const below = (count: number): number => Math.floor(next() * count);
  return {
    is: (probability) => next() < probability,
    below,
    one: (from) => from[below(from.length)] as never,
    weighed(from) {
      let rest = next() * from.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, value] of from) if ((rest -= weight) < 0) return value;
      return (from.at(-1) as readonly [number, never])[1];
    },
    some: (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make),
  };
}
