/** The scanner seam: one engine that looks at whole messages. Engines run side by side; the most severe answer stands. */
import type { Answer, Session, Transaction } from "../model/index.ts";
import type { Message } from "../message/message.ts";
import type { OnError } from "../guard/owner.ts";

export interface ScanAsk {
  readonly session: Session;
  readonly transaction: Transaction;
  readonly message: Message;
  /** Aborted at the deadline, or when the client is gone. */
  readonly signal: AbortSignal;
}

export interface Scanner {
  readonly name: string;
  readonly description: string;
  /** What stands when it gives no verdict. Required: there is no safe guess. */
  readonly onError: OnError;
  /** 30 s unless said otherwise. */
  readonly deadlineMs?: number;
  /** `undefined`: nothing found. Throws `ScannerFailure` with its reason when it could not tell. */
  scan(ask: ScanAsk): Promise<Answer>;
}
