/** The scanner seam: one engine that looks at whole messages. Engines run side by side; the most severe answer stands. */
import type { Answer, MaybePromise, Session, Transaction } from "../model/index.ts";
import type { Message } from "../message/message.ts";
import type { OnError } from "../guard/owner.ts";

export interface ScanAsk {
  readonly session: Session;
  readonly transaction: Transaction;
  readonly message: Message;
  /** Aborted at the deadline, when the client is gone, or when another engine has already refused the message. */
  readonly signal: AbortSignal;
}

export interface Scanner {
  /** Lower case, digits and hyphens; unique in a gateway. */
  readonly name: string;
  readonly description: string;
  /**
   * What stands when it gives no verdict. Absent: the config entry's `onError`, which then must be there, since there is no
   * safe guess. A plugin with several engines has one for each in its own options.
   */
  readonly onError?: OnError;
  /** Absent: the config entry's `deadline`, else 30 s. */
  readonly deadlineMs?: number;
  /**
   * `undefined` or `permit`: nothing found. Objections and the effects `prepend`, `discard` and `log` are the other answers.
   * Throws `ScannerFailure` with its reason when it could not tell.
   */
  scan(ask: ScanAsk): MaybePromise<Answer>;
}
