/**
 * From the end of data to its reply: the content is looked at, judged by hooks, list and scanners, changed by modifiers,
 * given its trace fields, and queued. 250 is said when it is on stable storage and not before (RFC 5321 §6.1).
 */
import { countReceived, openMessage, toParsedMessage, type Message } from "../message/index.ts";
import { after, isPromise, reply, type MaybePromise, type Objection, type Reply } from "../model/index.ts";
import { applyEnvelopeEdits } from "../rewrite/index.ts";
import type { Content } from "./content.ts";
import type { Dialogue } from "./dialogue.ts";
import type { OpenTransaction } from "./open-transaction.ts";
import { addBlindCopies, lastEffect, redirectEnvelope } from "./effects.ts";
import { refuseByRule } from "./refusals.ts";
import type { MessageRuling } from "./session-policy.ts";
import { describeOrigin, finishMessage } from "./trace.ts";

const tooLarge = reply(552, "5.3.4", "Message exceeds the size limit");
const headersTooLarge = reply(552, "5.3.4", "Header section exceeds the size limit");
/** Each costs many times its octets while the message is judged. */
const mostFields = 10_000;
const loop = reply(554, "5.4.6", "Too many hops");
const noRecipients = reply(554, "5.5.1", "No recipients left");
const faults = {
  bareLf: reply(550, "5.5.2", "Message has LF without CR"),
  bareCr: reply(550, "5.5.2", "Message has CR without LF"),
  nul: reply(550, "5.6.0", "Message has NUL octets"),
} as const;

/** Why the content cannot be taken, as far as its octets tell. */
export function refusalOf(content: Content): Reply | undefined {
  if (content.fault !== undefined) return faults[content.fault];
  return content.tooLarge ? tooLarge : undefined;
}

export function acceptMessage(dialogue: Dialogue): MaybePromise<void> {
  const { transaction } = dialogue;
  const content = transaction?.content;
  if (transaction === undefined || content === undefined) return;
  transaction.receiving = false;
  transaction.received = true;
  dialogue.watchdog.suspend();
  return dialogue.proceed(content.end(), (blob) => {
    const refusal = refusalOf(content) ?? (blob === undefined ? tooLarge : undefined);
    if (refusal !== undefined || blob === undefined) return refuse(dialogue, transaction, refusal ?? tooLarge);
    return dialogue.proceed(openMessage(blob, { maxHeaderBytes: dialogue.limits.headerSizeBytes }), (message) =>
      inspect(dialogue, transaction, message),
    );
  });
}

/** Core's own rules, then the `headers` hook. */
function inspect(dialogue: Dialogue, transaction: OpenTransaction, message: Message): MaybePromise<void> {
  const { limits } = dialogue;
  if (toParsedMessage(message).section.cut || message.headers.length > mostFields) {
    return refuse(dialogue, transaction, headersTooLarge);
  }
  if (countReceived(message.headers) >= limits.hops) return refuse(dialogue, transaction, loop);
  const { headers: hook } = dialogue.generation.hooks.smtp;
  const asked = hook.tapped ? hook.call(message, transaction.plain, dialogue.session) : undefined;
  return dialogue.proceed(asked, (objection) =>
    objection === undefined ? judge(dialogue, transaction, message) : object(dialogue, objection, "headers"),
  );
}

/** The `message` hook, the list and the scanners, side by side; the hook's objection comes first. */
function judge(dialogue: Dialogue, transaction: OpenTransaction, message: Message): MaybePromise<void> {
  const { session, generation, policy } = dialogue;
  const { plain } = transaction;
  const { message: hook } = generation.hooks.smtp;
  const scanning = generation.scan === undefined ? undefined : new AbortController();
  const scanned =
    scanning === undefined || generation.scan === undefined
      ? undefined
      : generation.scan({ session, transaction: plain, message, signal: scanning.signal });
  if (scanning !== undefined) dialogue.onEnd = () => scanning.abort();
  const hooked = hook.tapped ? hook.call(message, plain, session) : undefined;
  const judged = policy.judge({ session, transaction: plain, message }, scanned);
  // A rejection of the one must not be left alone while the other is waited for.
  if (isPromise(judged)) judged.catch(() => {});
  return dialogue.proceed(hooked, (objection) => {
    if (objection !== undefined) {
      scanning?.abort();
      return object(dialogue, objection, "message");
    }
    return dialogue.proceed(judged, (ruling) => {
      dialogue.onEnd = undefined;
      if (ruling.objection !== undefined) return object(dialogue, ruling.objection, "message");
      return modify(dialogue, transaction, message, ruling);
    });
  });
}

function modify(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  message: Message,
  ruling: MessageRuling,
): MaybePromise<void> {
  const { modify: hook } = dialogue.generation.hooks.smtp;
  const accepted = addBlindCopies({ ...transaction.plain, recipients: ruling.recipients }, ruling.effects);
  if (!hook.tapped) return rewrite(dialogue, transaction, message, ruling, accepted);
  const edited = hook.call({ message, envelope: [] }, accepted, dialogue.session);
  return dialogue.proceed(edited, (result) => {
    const envelope = applyEnvelopeEdits(accepted, result.envelope);
    return rewrite(dialogue, transaction, result.message, ruling, envelope);
  });
}

function rewrite(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  message: Message,
  ruling: MessageRuling,
  envelope: OpenTransaction["plain"],
): MaybePromise<void> {
  const { rewriter } = dialogue.generation;
  if (rewriter === undefined) return queue(dialogue, transaction, message, ruling, envelope);
  const ask = { session: dialogue.session };
  return dialogue.proceed(rewriter.rewrite(envelope, ask), (rewritten) =>
    rewriter.rewriteHeader === undefined
      ? queue(dialogue, transaction, message, ruling, rewritten)
      : dialogue.proceed(rewriter.rewriteHeader(message, ask), (edited) =>
          queue(dialogue, transaction, edited, ruling, rewritten),
        ),
  );
}

function queue(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  message: Message,
  ruling: MessageRuling,
  rewritten: OpenTransaction["plain"],
): MaybePromise<void> {
  const { host, session } = dialogue;
  const { effects } = ruling;
  const envelope = redirectEnvelope(rewritten, effects);
  const { id } = envelope;
  const discard = lastEffect(effects, "discard");
  if (discard !== undefined) {
    const text = discard.text ?? "discarded";
    host.log({ kind: "discarded", session, id, sender: envelope.sender, recipients: envelope.recipients.length, text });
    return taken(dialogue, id);
  }
  if (envelope.recipients.length === 0) return refuse(dialogue, transaction, noRecipients);
  const arrivedAt = host.clock.now();
  // Received names whom the client wrote to, not whom that is an alias of.
  const asked = { ...envelope, recipients: transaction.plain.recipients };
  const finished = finishMessage(dialogue, asked, message, effects, arrivedAt);
  const { sender, recipients, body, smtputf8, ret, envid } = envelope;
  // A redirect goes before a filter (access(5)).
  const filter = lastEffect(effects, "redirect") === undefined ? lastEffect(effects, "filter") : undefined;
  const hold = lastEffect(effects, "hold");
  const queued = {
    id,
    envelope: {
      sender,
      recipients,
      body,
      smtputf8,
      ...(ret === undefined ? {} : { ret }),
      ...(envid === undefined ? {} : { envid }),
    },
    arrivedAt,
    sizeBytes: finished.sizeBytes,
    origin: describeOrigin(dialogue, envelope),
    ...(filter === undefined ? {} : { filter: filter.destination }),
  };
  const held = hold && (hold.text ?? "by the policy");
  return after(host.enqueue(queued, finished.raw, held), () => {
    // Said even when the client is gone: the message stays.
    const { sizeBytes } = finished;
    host.log({ kind: "received", session, id, sender, recipients: recipients.length, sizeBytes, effects });
    taken(dialogue, id);
  });
}

function taken(dialogue: Dialogue, id: string): void {
  dialogue.state = "ready";
  dialogue.endTransaction(true);
  dialogue.say(reply(250, "2.0.0", `Ok: queued as ${id}`));
}

function object(dialogue: Dialogue, objection: Objection, stage: string): void {
  dialogue.object(objection, { stage, command: "END-OF-MESSAGE" });
  dialogue.endTransaction(false);
}

/** Refused by the core's own rules. */
function refuse(dialogue: Dialogue, transaction: OpenTransaction, refusal: Reply): void {
  const said = refuseByRule(dialogue, refusal, {
    session: dialogue.session,
    command: "END-OF-MESSAGE",
    id: transaction.plain.id,
    sender: transaction.plain.sender,
    recipient: undefined,
  });
  dialogue.endTransaction(false);
  dialogue.say(said);
}
