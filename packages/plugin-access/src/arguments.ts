/** Schemas of the words' arguments. */
import type { TableSpec } from "@postern/core";
import { z } from "zod";

export const noArguments: z.ZodType<[]> = z.tuple([]);

export const oneTable: z.ZodType<[TableSpec]> = z.tuple([
  z
    .union([z.string(), z.record(z.string(), z.string())], {
      error: 'expected a table such as "texthash:./clients", or an object of keys and results',
    })
    .meta({ title: "table" }),
]);

/** Longer waits would only hold connections. */
export const longestSleepSeconds = 300;

export const seconds: z.ZodType<[number]> = z.tuple([
  z
    .union([z.string(), z.number()])
    .transform(Number)
    .refine((given) => Number.isInteger(given) && given >= 0 && given <= longestSleepSeconds, {
      error: `expected whole seconds, ${longestSleepSeconds} at most`,
    })
    .meta({ title: "seconds" }),
]);
