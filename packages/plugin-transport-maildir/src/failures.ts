/** What a fault of the file system means for the recipient and for the other boxes. */
import { deferred, type Outcome } from "@postern/core";

interface Failure {
  readonly outcome: Outcome;
  /** It concerns the file system, not this one box. */
  readonly everywhere: boolean;
}

const known: Readonly<Record<string, readonly [enhanced: string, text: string, everywhere?: true]>> = {
  ENOSPC: ["4.3.1", "mail system full", true],
  EROFS: ["4.3.0", "mail system not accepting mail", true],
  EDQUOT: ["4.2.2", "mailbox full"],
  EACCES: ["4.3.0", "mailbox not accessible"],
  EPERM: ["4.3.0", "mailbox not accessible"],
};

/** Whatever it is, it may pass. The text may travel to the sender: it names no file. */
export function classifyFailure(error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  const [enhanced, text, everywhere = false] = known[code] ?? ["4.3.0", "cannot write to the mailbox"];
  return { outcome: deferred(text, { enhanced }), everywhere };
}
