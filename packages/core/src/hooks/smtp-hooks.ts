/** Hooks of the SMTP conversation. A decision can only narrow what the policy allows: no hook permits. */
import type { Declare } from "./declare.ts";
import type { Objection, Recipient, Session, Transaction } from "../model/index.ts";
import type { Message } from "../message/message.ts";

export const createSmtpHooks = (declare: Declare) =>
  Object.freeze({
    connect: declare.decision<[session: Session]>(
      "smtp.connect",
      ["session"],
      "A client is connected, before the greeting; after XCLIENT once more. An objection is the greeting, and the session ends. RFC 5321 §3.1.",
    ),
    tls: declare.decision<[session: Session]>(
      "smtp.tls",
      ["session"],
      "STARTTLS is done; `session.tls` is set. An objection refuses every later command but QUIT. RFC 3207.",
    ),
    helo: declare.decision<[name: string, session: Session]>(
      "smtp.helo",
      ["name", "session"],
      "HELO or EHLO, before its reply. An objection is its reply. RFC 5321 §4.1.1.1.",
    ),
    auth: declare.decision<[identity: string, mechanism: string, session: Session]>(
      "smtp.auth",
      ["identity", "mechanism", "session"],
      "AUTH succeeded; `session.auth` is set as it will be. An objection is its reply, and the client is not authenticated. RFC 4954.",
    ),
    authFailed: declare.report<[identity: string, mechanism: string, session: Session]>(
      "smtp.authFailed",
      ["identity", "mechanism", "session"],
      "AUTH was refused, or nobody could be asked. `identity` is what the client said, and may be empty.",
    ),
    mail: declare.decision<[sender: string, envelope: Transaction, session: Session]>(
      "smtp.mail",
      ["sender", "envelope", "session"],
      "MAIL FROM, before a transaction begins, which has its id already; an empty sender is the null reverse-path. RFC 5321 §4.1.1.2.",
    ),
    rcpt: declare.decision<[recipient: Recipient, transaction: Transaction, session: Session]>(
      "smtp.rcpt",
      ["recipient", "transaction", "session"],
      "One RCPT TO, before the recipient joins the envelope. Relaying is not decided here: the relay guard decides. RFC 5321 §4.1.1.3.",
    ),
    recipient: declare.decision<[recipient: Recipient, transaction: Transaction, session: Session]>(
      "smtp.recipient",
      ["recipient", "transaction", "session"],
      "One RCPT TO that the hook before, the lists and the relay guard let through, just before it joins the envelope. An objection is its reply.",
    ),
    recipientRefused: declare.notice<
      [recipient: Recipient, objection: Objection, transaction: Transaction, session: Session]
    >(
      "smtp.recipientRefused",
      ["recipient", "objection", "transaction", "session"],
      "One RCPT TO that a list, a hook or the relay guard refused, for now or for good, before its reply, which no answer changes. Waited for, unlike `smtp.rejected`.",
    ),
    data: declare.decision<[transaction: Transaction, session: Session]>(
      "smtp.data",
      ["transaction", "session"],
      "DATA or the first BDAT, before 354. An objection is its reply. RFC 5321 §4.1.1.4.",
    ),
    headers: declare.decision<[message: Message, transaction: Transaction, session: Session]>(
      "smtp.headers",
      ["message", "transaction", "session"],
      "The message is in and its header section can be read; asked before the body is looked at. An objection is the final reply.",
    ),
    message: declare.decision<[message: Message, transaction: Transaction, session: Session]>(
      "smtp.message",
      ["message", "transaction", "session"],
      "The whole message, beside the `message` list and the scanners. An objection is the final reply.",
    ),
    unknown: declare.decision<[line: string, session: Session]>(
      "smtp.unknown",
      ["line", "session"],
      "A command that is not offered or not known, before its 500 or 502: the line as it came. An objection is its reply.",
    ),
    modify: declare.edits<[transaction: Transaction, session: Session]>(
      "smtp.modify",
      ["message", "transaction", "session"],
      "The accepted message, before it is queued. Taps return edits; each sees the result so far. A failed tap's `onError` is the final reply; `skip` leaves the message as it was.",
    ),
    tarpit: declare.wait<[errors: number, session: Session]>(
      "smtp.tarpit",
      ["errors", "session"],
      "Before refusals leave: how many the session has had since its last message. The first tap with an answer says how many milliseconds they wait, a minute at most.",
    ),
    reset: declare.report<[transaction: Transaction, session: Session]>(
      "smtp.reset",
      ["transaction", "session"],
      "A transaction ended without a message: RSET, a new EHLO, or the client is gone.",
    ),
    rejected: declare.report<[objection: Objection, stage: string, session: Session]>(
      "smtp.rejected",
      ["objection", "stage", "session"],
      "The client was refused, for now or for good, by a list, a hook, the relay guard or a scanner.",
    ),
    closed: declare.report<[session: Session]>("smtp.closed", ["session"], "Session over, however it ended."),
  });

export type SmtpHooks = ReturnType<typeof createSmtpHooks>;
