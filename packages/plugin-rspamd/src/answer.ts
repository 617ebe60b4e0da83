/** rspamd's answer to `/checkv2`, read to the letter: what is not exactly understood is a failure, never "no action". */
import { isUtf8 } from "node:buffer";
import { z } from "zod";

const order = z.int().min(-100_000).max(100_000);

const addedField = z.union([
  z.string(),
  z.looseObject({ value: z.string(), order: order.optional(), index: order.optional() }),
]);

const milter = z.looseObject({
  remove_headers: z.record(z.string(), z.union([order, z.array(order).max(1_000)])).optional(),
  add_headers: z.record(z.string(), z.union([addedField, z.array(addedField).max(1_000)])).optional(),
  change_from: z.string().optional(),
  add_rcpt: z.array(z.string()).max(1_000).optional(),
  del_rcpt: z.array(z.string()).max(1_000).optional(),
  reject: z.string().optional(),
  spam_header: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
  no_action: z.boolean().optional(),
});

const schema = z.looseObject({
  action: z.string().min(1).max(200),
  score: z.number().optional(),
  required_score: z.number().optional(),
  subject: z.string().optional(),
  messages: z.looseObject({ smtp_message: z.string().optional() }).or(z.array(z.unknown())).optional(),
  "dkim-signature": z.union([z.string(), z.array(z.string()).max(100)]).optional(),
  milter: milter.optional(),
  error: z.unknown().optional(),
});

export type AddedField = z.output<typeof addedField>;

export interface RspamdAnswer extends z.output<typeof schema> {
  /** How its texts become octets again: rspamd copies what stands in a message, which need not be UTF-8. */
  readonly charset: "utf8" | "latin1";
}

/** Throws `Error` saying what is not understood. */
export function readAnswer(octets: Buffer): RspamdAnswer {
  const charset = isUtf8(octets) ? "utf8" : "latin1";
  const parsed = schema.safeParse(JSON.parse(octets.toString(charset)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not understood"}`);
  }
  if (parsed.data.error !== undefined) throw new Error(`its own error: ${JSON.stringify(parsed.data.error)}`);
  return { ...parsed.data, charset };
}

/** What the SMTP client may hear; `undefined`: rspamd has no text for it. */
export function smtpMessage({ messages }: RspamdAnswer): string | undefined {
  const text = Array.isArray(messages) ? undefined : messages?.smtp_message;
  return text === undefined || text.trim() === "" ? undefined : text;
}
