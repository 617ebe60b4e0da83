/**
 * What becomes of a message that is judged: changed by scanners and modifiers, its envelope rewritten, given its trace fields, and then
 * dropped, put aside, handed over, or queued. 250 is said when it is on stable storage and not before (RFC 5321 §6.1).
 */
import { applyEdits, type Edit, type Edited, type Message } from "../message/index.ts";
import {
  after,
  isObjection,
  logText,
  reply,
  type MaybePromise,
  type Objection,
  type QueuedMessage,
  type Recipient,
  type Reply,
  type Transaction,
} from "../model/index.ts";
import { applyEnvelopeEdits } from "../rewrite/index.ts";
import type { Dialogue } from "./dialogue.ts";
import { addBlindCopies, lastEffect, redirectEnvelope } from "./effects.ts";
import type { OpenTransaction } from "./open-transaction.ts";
import { refuseByRule } from "./refusals.ts";
import type { MessageRuling } from "./session-policy.ts";
import { describeOrigin, finishMessage } from "./trace.ts";

const noRecipients = reply(554, "5.5.1", "No recipients left");

/** A message as it was judged. */
export interface Judged {
  readonly message: Message;
  readonly ruling: MessageRuling;
  /** What the scanners want changed. */
  readonly edits: readonly Edit[];
}

/** With the changes of scanners, and then of modifiers, who see those. */
export function edit(dialogue: Dialogue, accepted: Transaction, { message, edits }: Judged): MaybePromise<Edited> {
  const { modify: hook } = dialogue.generation.hooks.smtp;
  const scanned: MaybePromise<Edited> = edits.length === 0 ? { message, envelope: [] } : applyEdits(message, edits);
  return after(scanned, (given) => (hook.tapped ? hook.call(given, accepted, dialogue.session) : given));
}

export function dispose(dialogue: Dialogue, transaction: OpenTransaction, judged: Judged): MaybePromise<void> {
  const { ruling } = judged;
  const refused = refusedBy(ruling);
  const accepted = addBlindCopies({ ...transaction.plain, recipients: ruling.recipients }, ruling.effects, refused);
  return dialogue.proceed(edit(dialogue, accepted, judged), (result) => {
    const content = result.message;
    const settle = (): MaybePromise<void> =>
      dialogue.proceed(rewrite(dialogue, applyEnvelopeEdits(accepted, without(refused, result))), (envelope) =>
        commit(dialogue, transaction, content, ruling, envelope),
      );
    if (ruling.quarantined.length === 0) return settle();
    const aside = applyEnvelopeEdits({ ...transaction.plain, recipients: ruling.quarantined }, senderOnly(result));
    return dialogue.proceed(rewrite(dialogue, aside), (rewritten) => {
      const envelope = { ...rewritten, id: dialogue.host.ids() };
      return putAside(dialogue, transaction, content, ruling, envelope).then(() =>
        settleOthers(dialogue, transaction, envelope.id, settle),
      );
    });
  });
}

const nobody: ReadonlySet<string> = new Set();

function refusedBy({ quarantined, discarded }: MessageRuling): ReadonlySet<string> {
  if (quarantined.length === 0 && discarded.length === 0) return nobody;
  return new Set([...quarantined, ...discarded].map(({ address }) => address));
}

/** For whom it was refused he does not get it by being added once more. */
const without = (refused: ReadonlySet<string>, { envelope }: Edited): Edited["envelope"] =>
  refused.size === 0
    ? envelope
    : envelope.filter(({ kind, address }) => kind !== "addRecipient" || !refused.has(address));

const senderOnly = ({ envelope }: Edited): Edited["envelope"] => envelope.filter(({ kind }) => kind === "changeSender");

function rewrite(dialogue: Dialogue, envelope: Transaction): MaybePromise<Transaction> {
  const { rewriter } = dialogue.generation;
  return rewriter === undefined ? envelope : rewriter.rewrite(envelope, { session: dialogue.session });
}

/** Those of the recipients for whom it was refused go aside under an id of their own, which `envelope` has. */
function putAside(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  message: Message,
  ruling: MessageRuling,
  envelope: Transaction,
): Promise<void> {
  const asked = { ...envelope, recipients: ruling.quarantined };
  const finished = finishMessage(dialogue, asked, message, ruling.effects, dialogue.host.clock.now());
  const queued = describe(dialogue, envelope, finished);
  // The id is found whatever the reasons are: a reason is one line of 512 characters.
  const reason = `${logText(ruling.quarantineReason, 440)}; taken for others as ${transaction.plain.id}`;
  return quarantine(dialogue, queued, finished, reason, ruling.quarantined);
}

/** `aside` does not stay when nobody takes the message for the others: its client was refused, or comes again with all of it. */
async function settleOthers(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  aside: string,
  settle: () => MaybePromise<void>,
): Promise<void> {
  const { host, session } = dialogue;
  try {
    if (!dialogue.over) await settle();
  } finally {
    if (!transaction.delivered) {
      await host.withdraw(aside).catch((error: unknown) => {
        host.log({ kind: "failed", session, where: "quarantine", error });
      });
    }
  }
}

function commit(
  dialogue: Dialogue,
  transaction: OpenTransaction,
  message: Message,
  ruling: MessageRuling,
  rewritten: Transaction,
): MaybePromise<void> {
  const { host, session } = dialogue;
  const { effects } = ruling;
  const envelope = redirectEnvelope(rewritten, effects);
  const { id } = envelope;
  const discard = lastEffect(effects, "discard");
  if (discard !== undefined) {
    const text = discard.text ?? "discarded";
    host.log({ kind: "discarded", session, id, sender: envelope.sender, recipients: envelope.recipients.length, text });
    return taken(dialogue, id, ruling);
  }
  if (envelope.recipients.length === 0) return refuse(dialogue, transaction, noRecipients);
  // Received names whom the client wrote to, not whom that is an alias of.
  const asked = { ...envelope, recipients: transaction.plain.recipients };
  const finished = finishMessage(dialogue, asked, message, effects, host.clock.now());
  // A redirect goes before a filter (access(5)).
  const redirected = lastEffect(effects, "redirect") !== undefined;
  const filter = redirected ? undefined : lastEffect(effects, "filter");
  const aside = lastEffect(effects, "quarantine");
  const hold = lastEffect(effects, "hold");
  const store = (destination: string | undefined): MaybePromise<void> => {
    const queued = describe(dialogue, envelope, finished, destination);
    if (aside !== undefined) {
      const reason = aside.text ?? "by the policy";
      return after(quarantine(dialogue, queued, finished, reason), () => taken(dialogue, id, ruling));
    }
    return after(host.enqueue(queued, finished.raw, hold && (hold.text ?? "by the policy")), () => {
      // Said even when the client is gone: the message stays.
      const { sender, recipients } = envelope;
      const { sizeBytes } = finished;
      host.log({ kind: "received", session, id, sender, recipients: recipients.length, sizeBytes, effects });
      taken(dialogue, id, ruling);
    });
  };
  const { handOver } = dialogue.generation;
  if (handOver === undefined) return store(filter?.destination);
  const held = aside !== undefined || hold !== undefined;
  const given = { session, envelope, message: finished, filter: filter?.destination, held };
  const controller = new AbortController();
  const onEnd = (): void => controller.abort();
  dialogue.onEnd = onEnd;
  return after(handOver(given, controller), (said) => {
    dialogue.onEnd = undefined;
    if (said?.kind === "taken") {
      const { sender, recipients } = envelope;
      const { sizeBytes } = finished;
      const { reply: answer } = said;
      host.log({ kind: "handedOver", session, id, sender, recipients: recipients.length, sizeBytes, reply: answer });
      return taken(dialogue, id, ruling, answer);
    }
    // Nobody has it, and nobody hears: the client comes again.
    if (dialogue.over) return undefined;
    if (said !== undefined && isObjection(said)) return object(dialogue, said, "message");
    return store(said?.kind === "filter" && !redirected ? said.destination : filter?.destination);
  });
}

function describe(dialogue: Dialogue, envelope: Transaction, finished: Message, filter?: string): QueuedMessage {
  const { id, sender, recipients, body, smtputf8, ret, envid } = envelope;
  return {
    id,
    envelope: {
      sender,
      recipients,
      body,
      smtputf8,
      ...(ret === undefined ? {} : { ret }),
      ...(envid === undefined ? {} : { envid }),
    },
    arrivedAt: dialogue.host.clock.now(),
    sizeBytes: finished.sizeBytes,
    origin: describeOrigin(dialogue, envelope),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** `only`: those of the recipients whom it concerns, when others fare otherwise. */
function quarantine(
  dialogue: Dialogue,
  queued: QueuedMessage,
  finished: Message,
  reason: string,
  only?: readonly Recipient[],
): Promise<void> {
  const { host, session } = dialogue;
  const { id, sizeBytes, envelope } = queued;
  return host.quarantine(queued, finished.raw, reason).then(() => {
    const { sender, recipients } = envelope;
    const to = only?.map(({ address }) => address);
    host.log({ kind: "quarantined", session, id, sender, recipients: recipients.length, sizeBytes, reason, to });
  });
}

function taken(
  dialogue: Dialogue,
  id: string,
  { discarded, discardReason }: MessageRuling,
  said: Reply = reply(250, "2.0.0", `Ok: queued as ${id}`),
): void {
  if (discarded.length > 0) {
    const { host, session } = dialogue;
    const to = discarded.map(({ address }) => address);
    const sender = dialogue.transaction?.plain.sender ?? "";
    host.log({ kind: "discarded", session, id, sender, recipients: to.length, text: discardReason, to });
  }
  dialogue.state = "ready";
  dialogue.endTransaction(true);
  dialogue.say(said);
}

export function object(dialogue: Dialogue, objection: Objection, stage: string): void {
  dialogue.object(objection, { stage, command: "END-OF-MESSAGE" });
  dialogue.endTransaction(false);
}

/** Refused by the core's own rules. */
export function refuse(dialogue: Dialogue, transaction: OpenTransaction, refusal: Reply): void {
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
