/** A rate as it is written: `"100/1h"`, so many in so long a time. */
import { parseDuration } from "@postern/core";
import { z } from "zod";

export interface Rate {
  readonly most: number;
  readonly windowMs: number;
}

const longestWindowMs = 31 * 86_400_000;

/** `undefined` for what is no rate: a window is from a second to a month. */
export function parseRate(text: string): Rate | undefined {
  const [, count = "", window = ""] = /^(\d{1,9})\/(.+)$/.exec(text.replaceAll(" ", "")) ?? [];
  // `100/h` is how people say it.
  const windowMs = parseDuration(/^\d/.test(window) ? window : `1${window}`);
  if (count === "" || windowMs === undefined || windowMs < 1000 || windowMs > longestWindowMs) return undefined;
  return { most: Number(count), windowMs };
}

export function rate(): z.ZodType<Rate, string> {
  return z
    .string()
    .transform((text, context) => {
      const parsed = parseRate(text);
      if (parsed !== undefined) return parsed;
      context.issues.push({ code: "custom", input: text, message: 'expected a rate such as "100/1h" or "20/1m"' });
      return z.NEVER;
    })
    .meta({ kind: "rate" });
}
