/** The commands of an explained session, and what became of them. */
import type { Decider } from "../smtp/index.ts";
import type { ExplainedVerdict } from "./explained.ts";
import type { Frame } from "./tracing.ts";

/** One command, while it is under way. */
export interface Asked {
  readonly command: string;
  readonly said: string;
  readonly frame: Frame;
  replies: readonly string[];
  by: Decider | undefined;
  refused: boolean;
}

const severity: readonly ExplainedVerdict[] = ["accepted", "deferred", "refused"];

export function worst(verdicts: readonly ExplainedVerdict[]): ExplainedVerdict {
  return verdicts.reduce<ExplainedVerdict>(
    (found, verdict) => (severity.indexOf(verdict) > severity.indexOf(found) ? verdict : found),
    "accepted",
  );
}

export function codeOf(replies: readonly string[]): number {
  return Number(replies.at(-1)?.slice(0, 3) ?? 0);
}

/** A session that ends without a word is to be tried again. */
export function verdictOf({ replies }: Pick<Asked, "replies">): ExplainedVerdict {
  const code = codeOf(replies);
  if (code >= 200 && code < 400) return "accepted";
  return code >= 500 ? "refused" : "deferred";
}
