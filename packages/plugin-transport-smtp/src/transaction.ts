/**
 * One mail transaction (RFC 5321 §3.3): MAIL, RCPT for each, DATA, content, dot. With PIPELINING (RFC 2920) the envelope and
 * DATA go out in one write; without, each waits for its reply. Recipients are settled as their fate is known.
 */
import { deferred, logText, type DeliveryRequest, type Outcome, type Recipient } from "@postern/core";
import { ConversationLost } from "./conversation.ts";
import { composeEnvelope, type EnvelopeCommands } from "./envelope-commands.ts";
import type { Timeouts } from "./options.ts";
import type { OutboundSession } from "./outbound-session.ts";
import { acceptance, isBusy, refusal } from "./outcomes.ts";
import type { ServerReply } from "./server-reply.ts";

export interface TransactionOptions {
  readonly timeouts: Timeouts;
  /** A final word on a recipient. */
  settle(recipient: Recipient, outcome: Outcome): void;
  /** The final dot is about to be written: the delivery may no longer be aborted. */
  committing(): void;
}

export interface TransactionResult {
  /** Recipients to be tried elsewhere or later, with what stands against them so far. */
  readonly left: ReadonlyMap<Recipient, Outcome>;
  /** The peer answered something that belongs to this transaction. */
  readonly acknowledged: boolean;
  /** Left recipients may be offered to the next host at once: nothing says that this one has taken the message. */
  readonly elsewhere: boolean;
  /** The peer says that it is busy, or cut us off. */
  readonly busy: boolean;
  /** The session takes another transaction as it is. */
  readonly reusable: boolean;
}

interface Progress {
  waitingFor: string;
  acknowledged: boolean;
  busy: boolean;
}

/** Never rejects. */
export async function runTransaction(
  session: OutboundSession,
  request: DeliveryRequest,
  recipients: readonly Recipient[],
  options: TransactionOptions,
): Promise<TransactionResult> {
  const left = new Map<Recipient, Outcome>();
  const progress: Progress = { waitingFor: "MAIL FROM", acknowledged: false, busy: false };
  const open = new Set(recipients);
  const settle = (recipient: Recipient, outcome: Outcome): void => {
    open.delete(recipient);
    if (outcome.status === "deferred") left.set(recipient, outcome);
    else options.settle(recipient, outcome);
  };
  let clean = false;
  try {
    clean = await converse(session, request, recipients, settle, options, progress);
  } catch (error) {
    const outcome = lossOutcome(session, error, progress.waitingFor);
    for (const recipient of open) settle(recipient, outcome);
  }
  if (!clean || !session.conversation.quiet) session.conversation.abort();
  return {
    left,
    acknowledged: progress.acknowledged,
    elsewhere: progress.waitingFor !== endOfData,
    busy: progress.busy,
    reusable: session.conversation.open,
  };
}

const endOfData = "end of DATA";

/** Answers whether the session stands where another MAIL may follow. */
async function converse(
  session: OutboundSession,
  request: DeliveryRequest,
  recipients: readonly Recipient[],
  settle: (recipient: Recipient, outcome: Outcome) => void,
  options: TransactionOptions,
  progress: Progress,
): Promise<boolean> {
  const { conversation, remote, tls, extensions } = session;
  const { timeouts } = options;
  const extra: Partial<Outcome> = tls === undefined ? { remote } : { remote, tls };
  const commands = await composeEnvelope(request, recipients, extensions, remote);
  for (const { recipient, outcome } of commands.refused) settle(recipient, outcome);
  if (commands.rcpt.length === 0) return true;

  const pipelining = extensions.has("PIPELINING");
  if (pipelining) conversation.write(envelopeLines(commands), commands.rcpt.length + 2);
  const ask = async (line: string, waitingFor: string, timeoutMs: number): Promise<ServerReply> => {
    progress.waitingFor = waitingFor;
    if (!pipelining) conversation.write(line, 1);
    const reply = await conversation.reply(timeoutMs);
    if (isBusy(reply)) progress.busy = true;
    else progress.acknowledged = true;
    return reply;
  };

  const mail = await ask(commands.mail, "MAIL FROM", timeouts.mail);
  const mailOk = isYes(mail);
  if (!mailOk) {
    const outcome = refusal(mail, "MAIL FROM", extra);
    for (const { recipient } of commands.rcpt) settle(recipient, outcome);
    if (progress.busy) return false;
    // Without PIPELINING nothing else was asked.
    if (!pipelining) return true;
  }

  const accepted: Recipient[] = [];
  for (const { recipient, line } of commands.rcpt) {
    const reply = await ask(line, "RCPT TO", timeouts.rcpt);
    if (!mailOk) continue;
    if (isYes(reply)) accepted.push(recipient);
    else settle(recipient, refusal(reply, "RCPT TO", extra));
    // RFC 5321 §3.8: the peer closes; no further reply will come.
    if (progress.busy) {
      throw new ConversationLost("closed", reply.text);
    }
  }
  if (accepted.length === 0 && !pipelining) return reset(session, timeouts);

  const data = await ask("DATA\r\n", "DATA", timeouts.data);
  if (Math.floor(data.code / 100) !== 3) {
    for (const recipient of accepted) settle(recipient, refusal(data, "DATA", extra));
    return !progress.busy && reset(session, timeouts);
  }
  if (accepted.length === 0) {
    // RFC 2920 §3.1: 354 although nobody is left. An empty message ends it; whatever is answered, no one hears of it.
    conversation.write(".\r\n", 1);
    await conversation.reply(timeouts.end);
    return true;
  }

  progress.waitingFor = "message body";
  const ended = await conversation.content(request.content, timeouts.block, () => options.committing());
  if (ended) progress.waitingFor = endOfData;
  const end = await conversation.reply(timeouts.end);
  if (isBusy(end)) progress.busy = true;
  // An early yes cannot be about a message whose end was not sent.
  if (isYes(end) && !ended) throw new ConversationLost("protocol", `reply before its time: ${end.text}`);
  const dsn = extensions.has("DSN") ? "passed" : "relayed";
  const outcome = isYes(end) ? acceptance(end, { ...extra, dsn }) : refusal(end, endOfData, extra);
  for (const recipient of accepted) settle(recipient, outcome);
  // The peer has answered: whoever it put off may be offered to another.
  progress.waitingFor = "";
  return ended && !progress.busy;
}

function envelopeLines({ mail, rcpt }: EnvelopeCommands): string {
  let lines = mail;
  for (const { line } of rcpt) lines += line;
  return `${lines}DATA\r\n`;
}

/** MAIL was accepted and came to nothing: the next one would be nested (RFC 5321 §4.1.4). */
async function reset({ conversation }: OutboundSession, timeouts: Timeouts): Promise<boolean> {
  conversation.write("RSET\r\n", 1);
  return isYes(await conversation.reply(timeouts.mail));
}

function isYes({ code }: ServerReply): boolean {
  return code >= 200 && code < 300;
}

function lossOutcome({ remote, tls }: OutboundSession, error: unknown, waitingFor: string): Outcome {
  const extra = tls === undefined ? { remote } : { remote, tls };
  if (!(error instanceof ConversationLost)) {
    return deferred("the message could not be sent", { ...extra, enhanced: "4.3.0" });
  }
  const doubt = waitingFor === endOfData ? " -- message may be sent more than once" : "";
  const at = waitingFor === endOfData ? "sending end of data" : `sending ${waitingFor}`;
  switch (error.kind) {
    case "content":
      return deferred("the message could not be read from the queue", { enhanced: "4.3.0" });
    case "timeout":
      return deferred(`conversation with ${remote} timed out while ${at}${doubt}`, { ...extra, enhanced: "4.4.2" });
    case "protocol":
      return deferred(logText(`protocol error by ${remote} while ${at}: ${error.message}${doubt}`), {
        ...extra,
        enhanced: "4.5.0",
      });
    default:
      return deferred(logText(`lost connection with ${remote} while ${at}${doubt}`), { ...extra, enhanced: "4.4.2" });
  }
}
