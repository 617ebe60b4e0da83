/** Options of header and body checks. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { tableSpec, type TableSpec } from "@postern/core";
import { z } from "zod";

const tables = () =>
  z
    .union([z.array(tableSpec()), tableSpec()], {
      error: 'expected a table such as "pcre:./header_checks", or a list of tables',
    })
    .transform((given): readonly TableSpec[] => (Array.isArray(given) ? given : [given]));

export const options = z.strictObject({
  headerChecks: tables().prefault([]).describe("Tables for the fields of the message's own header, but those of MIME."),
  mimeHeaderChecks: tables()
    .optional()
    .describe(
      "The same for fields of MIME (`Content-…`, `MIME-Version`), and for all fields of a part's header. The tables of `headerChecks` unless said otherwise.",
    ),
  nestedHeaderChecks: tables()
    .optional()
    .describe("The same for the header of an attached message. The tables of `headerChecks` unless said otherwise."),
  bodyChecks: tables().prefault([]).describe("Tables for every other line, as it came: nothing is decoded."),
  bodyChecksSizeLimit: z
    .int()
    .min(0)
    .default(51_200)
    .describe("Octets of each part that `bodyChecks` are asked about; 0 for all of them."),
});
