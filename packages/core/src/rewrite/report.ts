/** Reports of the gateway's own, such as bounces, before they are queued. */
import { createMessage, type Blob } from "../message/index.ts";
import type { Envelope } from "../model/index.ts";
import type { Rewriters } from "./rewriting.ts";

/** As Postfix's own notices: as if a client of ours had sent it. Throws `TableUnavailable`. */
export async function rewriteReport(
  rewriter: Pick<Rewriters, "rewrite" | "rewriteHeader">,
  envelope: Envelope,
  content: Blob,
): Promise<{ envelope: Envelope; content: Blob }> {
  const ask = { session: undefined };
  const rewritten = await rewriter.rewrite(envelope, ask);
  if (rewriter.rewriteHeader === undefined) return { envelope: rewritten, content };
  const { raw } = await rewriter.rewriteHeader(createMessage(content), ask);
  return { envelope: rewritten, content: raw };
}
