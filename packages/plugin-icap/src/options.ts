/** Options of an ICAP service. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { duration, infectedTreatments, serviceAddresses, size } from "@postern/core";
import { z } from "zod";
import { parseAddress } from "./address.ts";
import { furtherHeaders } from "./further-headers.ts";

const examples = '"icap://127.0.0.1:1344/avscan"';

export const options = z.strictObject({
  address: serviceAddresses(parseAddress, examples).describe(
    "The service, `icap://host:port/service`, port 1344 by default; or a list: the next is asked when one fails.",
  ),
  method: z
    .enum(["RESPMOD", "REQMOD"])
    .default("RESPMOD")
    .describe("RESPMOD: the mail is shown as a download; REQMOD: as an upload."),
  parts: z
    .boolean()
    .default(false)
    .describe("Each MIME part is decoded and shown by itself under its file name, for services that do not know mail."),
  onInfected: z
    .enum(infectedTreatments)
    .default("reject")
    .describe("What becomes of mail in which something was found. `tag`: it is taken with a header field."),
  tagHeader: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/)
    .default("X-Virus-Found")
    .describe("The header field of `tag`; its value is what was found."),
  maxSize: size({ min: "1KB" })
    .default("5MB")
    .describe("Larger messages fail as `tooLarge`. At most what the service looks at: many call the rest clean."),
  connections: z
    .int()
    .min(1)
    .max(1_000)
    .default(20)
    .describe("Scans at once for each service, if it allows as many; others wait."),
  headers: furtherHeaders.describe(
    "Further ICAP headers of each request, such as the name of a service's profile; a secret such as a key as `{ file }`, `{ env }` or `{ credential }`.",
  ),
  timeouts: z
    .strictObject({
      connect: duration().default("5s").describe("TCP connection to one address."),
      answer: duration()
        .default("20s")
        .describe("Without an octet in either direction; then the next address is asked."),
    })
    .prefault({})
    .describe("How long to wait for what. `deadline` is for all together."),
});

export type Options = z.output<typeof options>;
