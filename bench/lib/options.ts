/** Options as the benchmarks share them. Mistakes are told with what would be right. */
import { BenchError } from "./bench-error.ts";

const usage = 64;

/** `"3"` → 3. */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1) throw new BenchError(`--${option} takes a whole number from 1`, usage);
  return value;
}

/** `"a,b"` → those of `known`, in the order of `known`; everything for `""`. */
export function someOf<T extends string>(option: string, text: string, known: readonly T[]): readonly T[] {
  if (text === "") return known;
  const wanted = text.split(",");
  const stranger = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (stranger !== undefined) {
    throw new BenchError(`--${option}: there is no "${stranger}"; there are ${known.join(", ")}`, usage);
  }
  return known.filter((name) => wanted.includes(name));
}
