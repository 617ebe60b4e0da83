/** Options of a clamd. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { size } from "@postern/core";
import { z } from "zod";
import { parseAddress } from "./address.ts";

const expectedAddress = 'an address such as "unix:/run/clamav/clamd.ctl", "127.0.0.1:3310" or "[::1]:3310"';

export const options = z.strictObject({
  address: z
    .string()
    .refine((text) => parseAddress(text) !== undefined, {
      message: `expected ${expectedAddress}`,
      params: { expected: expectedAddress },
    })
    .describe("Where clamd listens: `unix:PATH`, from the config's folder, or `host:port`."),
  onInfected: z
    .enum(["reject", "discard"], {
      error: ({ input }) =>
        input === "quarantine"
          ? '"quarantine" is not possible yet, there is no quarantine to put mail into: use "reject" or "discard"'
          : undefined,
    })
    .default("reject")
    .describe("What becomes of infected mail: refused with the signature's name, or taken and dropped."),
  maxSize: size({ min: "1KB" })
    .optional()
    .describe("Larger messages are not sent to clamd and fail as `tooLarge`. At most clamd's StreamMaxLength."),
  connections: z.int().min(1).max(1_000).default(20).describe("Scans at once; others wait, until their deadline."),
});

export type Options = z.output<typeof options>;
