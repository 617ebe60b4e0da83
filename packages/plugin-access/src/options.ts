/** Options of the words that have some. */
import { tableSpec } from "@postern/core";
import { z } from "zod";

export const options = z.strictObject({
  senderLogins: z
    .union([tableSpec(), z.array(tableSpec())], {
      error: 'expected a table such as "texthash:./logins", or a list of tables',
    })
    .optional()
    .describe(
      "Who may send as whom, for `reject_sender_login_mismatch` and its like: a table, or several in order, of sender addresses and the login names that own them.",
    ),
  rblReply: z
    .string()
    .min(1)
    .max(500)
    .default(
      "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}",
    )
    .describe("What a client hears that a DNS list names: a code, and a text with Postfix's `$names`."),
  rblReplies: tableSpec()
    .optional()
    .describe(
      "The same by list: a table from the list as it is written in the word, `zone` or `zone=filter`, to its reply.",
    ),
});

export type Options = z.output<typeof options>;
