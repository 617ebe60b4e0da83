/** Options of a clamd. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { infectedTreatments, parseSocketAddress, serviceAddresses, size } from "@postern/core";
import { z } from "zod";
import { treatments } from "./signatures.ts";

const examples = '"unix:/run/clamav/clamd.ctl", "tcp:127.0.0.1:3310" or "tcp:[::1]:3310"';

export const options = z.strictObject({
  address: serviceAddresses(parseSocketAddress, examples).describe(
    "Where clamd listens: `unix:PATH`, from the config's folder, or `tcp:HOST:PORT`. Of several the first that is well is asked, and the next when that fails.",
  ),
  onInfected: z
    .enum(infectedTreatments)
    .default("reject")
    .describe(
      "What becomes of infected mail: refused with the signature's name, or for now (`defer`), put into the quarantine, taken and dropped, or passed on with a header field (`tag`).",
    ),
  signatures: z
    .record(z.string().min(1).max(128), z.enum(treatments))
    .default({})
    .describe(
      'By the name of what was found, `*` for any text, first match: a word of `onInfected`, `ignore`, or a reason of `onError` (`tooLarge`, `unscannable`, `encrypted`), such as `{ "Heuristics.Phishing.*": "tag" }`.',
    ),
  tagHeader: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/)
    .default("X-Virus-Found")
    .describe("The header field of `tag`; its value is the signature's name."),
  header: z
    .boolean()
    .default(false)
    .describe("Adds `X-Virus-Scanned` to scanned mail: this host and clamd's version, which dates its signatures."),
  maxSize: size({ min: "1KB" })
    .optional()
    .describe(
      "Larger messages are not sent to clamd and fail as `tooLarge`. Absent: clamd's StreamMaxLength, found out at the start.",
    ),
  selfTest: z
    .boolean()
    .default(false)
    .describe(
      "At the start, sends clamd EICAR's test file in a small message and in the largest that it may get, and warns when it is not found. Clamd logs it like any finding.",
    ),
  connections: z
    .int()
    .min(1)
    .max(1_000)
    .default(20)
    .describe("Scans at once on each clamd; others wait, until their deadline."),
});

export type Options = z.output<typeof options>;
