/** Options of rspamd. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { addressList, duration, secret, serviceAddress, serviceAddresses, size } from "@postern/core";
import { z } from "zod";
import { parseAddress } from "./address.ts";

const examples = '"http://127.0.0.1:11333", "https://rspamd.example.com" or "unix:/run/rspamd/normal.sock"';

/** What becomes of a message, whatever rspamd calls it. */
export const treatments = ["accept", "tag", "subject", "defer", "reject", "quarantine", "discard"] as const;
export type Treatment = (typeof treatments)[number];

const fieldName = (): z.ZodString =>
  z.string().regex(/^[\x21-\x39\x3b-\x7e]{1,76}$/, { error: 'expected the name of a header field, such as "X-Spam"' });
const fieldPattern = (): z.ZodString =>
  z.string().regex(/^[\x21-\x39\x3b-\x7e]{1,76}$/, {
    error: 'expected the name of a header field, "*" for anything in it, such as "X-Spam*"',
  });

export const options = z.strictObject({
  address: serviceAddresses(parseAddress, examples).describe(
    "Where rspamd listens: `http://host:port`, `https://…` or `unix:PATH`, from the config's folder. Of a list the first that can be reached is asked.",
  ),
  password: secret().optional().describe("Sent as `Password`, for a controller or a proxy that asks for one."),
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(
      "File of certificate authorities (PEM) for `https`, from the config's folder; the system's unless given.",
    ),
  connectTimeout: duration({ min: "10ms", max: "5m" })
    .default("2s")
    .describe("How long a connection may take before the next address is asked."),
  connections: z
    .int()
    .min(1)
    .max(1_000)
    .default(50)
    .describe("Scans at once at each address; others wait, until their deadline."),
  maxSize: size({ min: "1KB" })
    .default("50MB")
    .describe("Larger messages are not sent to rspamd and fail as `tooLarge`. At most rspamd's `max_message`."),
  actions: z
    .record(z.string().min(1).max(64), z.enum(treatments))
    .default({})
    .describe(
      'What becomes of a message, by rspamd\'s action: "accept", "tag", "subject", "defer", "reject", "quarantine" or "discard". Those not named: as rspamd means them.',
    ),
  spamHeader: fieldName().default("X-Spam").describe("The field that `tag` sets to `Yes`."),
  subject: z
    .string()
    .min(1)
    .max(200)
    .default("*** SPAM *** %s")
    .describe("The new subject for `subject` when rspamd gives none; `%s` is the old one."),
  removeFromOutside: z
    .array(fieldPattern())
    .default(["X-Spam*", "X-Rspamd-*"])
    .describe(
      "Fields that are taken out of strangers' mail, since only we may have written them; `*` stands for anything.",
    ),
  passAll: z
    .boolean()
    .default(false)
    .describe("Let rspamd run all its checks even when the verdict is certain (`Pass: all`)."),
  settingsId: z.string().min(1).max(128).optional().describe("rspamd's settings to apply (`Settings-ID`)."),
  mtaTag: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe("What rspamd's settings may know this gateway by (`MTA-Tag`)."),
  learn: z
    .strictObject({
      controller: serviceAddress(parseAddress, examples).describe(
        "rspamd's controller, such as `http://127.0.0.1:11334`.",
      ),
      password: secret().optional().describe("The controller's password."),
      spam: addressList().default([]).describe("Recipients whose mail is learnt as spam, and then dropped."),
      ham: addressList().default([]).describe("Recipients whose mail is learnt as no spam, and then dropped."),
    })
    .optional()
    .describe(
      "Addresses that teach rspamd. Only for clients of `networks` and those who logged in; others are refused there.",
    ),
});

export type Options = z.output<typeof options>;
