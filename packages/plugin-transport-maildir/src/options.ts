/** The options of the maildir transport. */
import { z } from "zod";

export const options = z.strictObject({
  directory: z
    .string()
    .min(1)
    .describe("Folder of the Maildirs, `<directory>/<domain>/<local part>`; relative to the config's folder."),
  concurrency: z.int().min(1).max(1_000).default(8).describe("Messages written at once."),
});

export type MaildirOptions = z.output<typeof options>;
