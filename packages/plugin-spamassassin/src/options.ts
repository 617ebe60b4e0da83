/** Options of SpamAssassin. `onError` and `deadline` are keys of the config entry that the host reads itself. */
import { duration, parseSocketAddress, serviceAddresses, size } from "@postern/core";
import { z } from "zod";

const examples = '"unix:/run/spamd.sock", "tcp:127.0.0.1:783" or "127.0.0.1:783"';

const fieldPattern = (): z.ZodString =>
  z.string().regex(/^[\x21-\x39\x3b-\x7e]{1,76}$/, {
    error: 'expected the name of a header field, "*" for anything in it, such as "X-Spam*"',
  });

export const options = z.strictObject({
  address: serviceAddresses(parseSocketAddress, examples).describe(
    "Where spamd listens: `unix:PATH`, from the config's folder, or `tcp:host:port`. Of a list the first that can be reached is asked.",
  ),
  mode: z
    .enum(["headers", "message", "check"])
    .default("headers")
    .describe(
      "`headers`: SpamAssassin's changes to the header are made. `message`: those to the body, too (`report_safe`); a `headers` scan that would change the body is followed by such a one. `check`: the score alone is asked for, and our own `X-Spam-*` fields tell it.",
    ),
  onSpam: z
    .enum(["tag", "quarantine", "reject", "discard"])
    .default("tag")
    .describe("What becomes of spam: delivered with its fields, put aside, refused (550), or taken and dropped."),
  rejectScore: z.number().optional().describe("From this score mail is refused whatever `onSpam` says."),
  subject: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'With `mode: "check"`, the subject of spam that is delivered; `%s` is the old one. Otherwise SpamAssassin\'s `rewrite_header` does it.',
    ),
  removeFromOutside: z
    .array(fieldPattern())
    .default(["X-Spam*"])
    .describe(
      "Fields that are taken out of strangers' mail, since only we may have written them; `*` stands for anything.",
    ),
  user: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: 'expected a user name without blanks, such as "filter" or "%u@%d"' })
    .optional()
    .describe(
      "The user whose settings and Bayes data are used: a name, or one by recipient, where `%s` is the address, `%u` what stands before the at sign and `%d` the domain.",
    ),
  perRecipient: z
    .boolean()
    .default(false)
    .describe(
      "With a `user` by recipient: scan once for each user, and treat each recipient as its user's scan says. Otherwise a message for several users is scanned once, for `defaultUser`.",
    ),
  defaultUser: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, { error: "expected a user name without blanks" })
    .optional()
    .describe("The user for messages that are scanned once for several; spamd's own unless given."),
  maxUsers: z
    .int()
    .min(1)
    .max(1_000)
    .default(20)
    .describe(
      "With `perRecipient`, scans for one message; a message for more users is scanned once, for `defaultUser`.",
    ),
  maxSize: size({ min: "1KB" })
    .default("512KB")
    .describe("Larger messages are not sent to spamd and fail as `tooLarge`."),
  connectTimeout: duration({ min: "10ms", max: "5m" })
    .default("2s")
    .describe("How long a connection may take before the next address is asked."),
  connections: z
    .int()
    .min(1)
    .max(1_000)
    .default(5)
    .describe("Scans at once; others wait, until their deadline. As many as spamd's `--max-children`."),
});

export type Options = z.output<typeof options>;
