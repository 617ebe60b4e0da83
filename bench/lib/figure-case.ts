/** A case that is measured in figures with goals: `npm run bench -- tables`, `policy`. Each is a file in its folder, named in `cases.ts`. */

/** One number that was measured. */
export interface Figure {
  /** "lookups, found". */
  readonly what: string;
  readonly value: number;
  readonly unit: "/s" | "s" | "ms" | "µs" | "MB" | "%" | "times";
  /** The least, or the most, that is good enough. */
  readonly goal?: { readonly least: number } | { readonly most: number };
}

export interface CaseOptions {
  /** A folder of its own, gone afterwards. */
  readonly folder: string;
  /** Medians of so many. */
  readonly runs: number;
  /** A tenth of the work, to see that it works; the figures mean little. */
  readonly quick: boolean;
}

export interface FigureCase {
  readonly name: string;
  /** On what, in one line. */
  readonly what: string;
  /** Programs without which nothing can be measured. */
  readonly needs: readonly string[];
  measure(options: CaseOptions): Promise<readonly Figure[]>;
}

export function isMet({ value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  return "least" in goal ? value >= goal.least : value <= goal.most;
}
