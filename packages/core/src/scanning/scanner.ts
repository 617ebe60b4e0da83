/** The scanner seam: one engine that looks at whole messages. Engines run side by side; the most severe answer stands. */
import type { Effect, MaybePromise, RecipientAnswer, Session, Transaction, Verdict } from "../model/index.ts";
import type { Edit, Message, Spool } from "../message/index.ts";
import type { OnError } from "../guard/owner.ts";

/** What is known before the content has come. */
export interface IntakeAsk {
  readonly session: Session;
  /** Its recipients are all there when the content begins. */
  readonly transaction: Transaction;
  /** Aborted at the deadline, when the client is gone, when another engine has refused the message, and when all is over. */
  readonly signal: AbortSignal;
}

export interface ScanAsk extends IntakeAsk {
  readonly message: Message;
  /** What the scanner's `begin` gave for this message, and it got all of the content; `undefined` when there is no such. */
  readonly intake?: ScanIntake | undefined;
  /** Room for octets of the scanner's own, such as a new body: in memory while small, else in a file; let go with the message. */
  readonly openSpool: () => Spool;
}

/**
 * Content on its way in, given to an engine that can begin before it is complete. It is an offer and no more: the whole message is
 * given to `scan` in any case, and an intake that fell behind or lost its engine is simply not used.
 */
export interface ScanIntake {
  /**
   * The next octets of the content as the client sent it, line ends made right, in order; not to be written to. What the gateway itself puts into
   * the header of its own clients' mail is in `ScanAsk.message` alone. Must not throw. A promise asks the client to be held back; it is waited
   * for a second at most in all, and then nothing more is given.
   */
  write(part: Buffer): MaybePromise<unknown>;
}

/** An answer for each recipient, in the order of `transaction.recipients`. SMTP has one reply: `policy.mixed` says what stands. */
export interface PerRecipient {
  readonly kind: "perRecipient";
  readonly answers: readonly RecipientAnswer[];
}

/** A change to the message; carried out when it is taken, after those of the engines before it in the config. */
export interface EditPart {
  readonly kind: "edit";
  readonly edit: Edit;
}

export type ScanPart = Verdict | Effect | EditPart | PerRecipient;

/** `undefined`, `permit`, no parts: nothing found. At most one verdict, one `perRecipient`; `deferIf…` belong to words. */
export type ScanAnswer = undefined | ScanPart | readonly ScanPart[];

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
   * `false`: it looks at the message, and at most into tables. Absent: it talks to a service outside, or runs something, and `postern explain` asks it
   * with `--live` only.
   */
  readonly asksService?: boolean;
  /**
   * Asked when the first octets of a message come, not while the scanner is spared; the intake gets all of them. `undefined`: `scan` reads it
   * afterwards. Must not wait; a throw is logged, and counts as `undefined`. `scan` may never be called: then the signal is aborted. The
   * intake is dropped when content comes for longer than the deadline.
   */
  begin?(ask: IntakeAsk): ScanIntake | undefined;
  /** Throws `ScannerFailure` with its reason when it could not tell. After several `down` or `timeout` in a row it is spared for a while. */
  scan(ask: ScanAsk): MaybePromise<ScanAnswer>;
}
