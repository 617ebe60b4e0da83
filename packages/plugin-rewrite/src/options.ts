/** Options of the rewriting plugin. */
import { tableSpec, type TableSpec } from "@postern/core";
import { z } from "zod";

const tables = z
  .union([z.array(tableSpec()), tableSpec()], { error: "expected a table, or a list of tables" })
  .transform((given): readonly TableSpec[] => (Array.isArray(given) ? given : [given]));

export const options = z.strictObject({
  virtualAliases: tables
    .prefault([])
    .describe(
      "Tables of aliases for any domain of ours: an address, `@domain` or a local user, and the addresses in its place.",
    ),
  propagateExtensions: z
    .boolean()
    .default(true)
    .describe("An extension that the table does not know goes to the addresses that it names."),
});
