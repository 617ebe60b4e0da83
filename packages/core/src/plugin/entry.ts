/** The host keys of a plugin's entry: the host's own, not the plugin's. */
import { z } from "zod";
import { onError } from "../config/failure.ts";
import { duration } from "../config/units.ts";
import { shapeAt } from "../config/schema-walk.ts";

export const hostOptions = z.strictObject({
  as: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, { error: "expected a name of lower case, digits and hyphens" })
    .optional()
    .describe("Name of this instance, when a plugin is used twice."),
  onError: onError()
    .optional()
    .describe(
      "What stands when the plugin fails or is slow: defer, reject or skip, or an object by reason; defer by default.",
    ),
  deadline: duration({ min: "1ms" })
    .optional()
    .describe("Wait for one answer: 10 seconds for a word or tap, 30 for a scanner."),
  isolation: z.enum(["inline"]).default("inline").describe("Where the plugin runs."),
});

export type HostOptions = z.output<typeof hostOptions>;
export const hostKeys: readonly string[] = Object.freeze(Object.keys(hostOptions.shape));

/** What the host reads and what the plugin's schema sees. A key that the plugin declares itself goes to both. */
export function splitOptions(
  options: Readonly<Record<string, unknown>>,
  schema: z.core.$ZodType,
): { host: Record<string, unknown>; own: Record<string, unknown> } {
  const shape = shapeAt(schema, []) ?? {};
  const host: Record<string, unknown> = {};
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    const isHost = hostKeys.includes(key);
    if (isHost) host[key] = value;
    if (!isHost || Object.hasOwn(shape, key)) own[key] = value;
  }
  return { host, own };
}
