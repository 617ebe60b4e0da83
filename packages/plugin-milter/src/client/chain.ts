/** The milters of one SMTP session, in the order of the config: each command goes to one after the other, and the first objection ends it. */
import {
  applyEdits,
  isPromise,
  unscannedHeader,
  type Edit,
  type Effect,
  type MaybePromise,
  type Objection,
  type ScanAsk,
  type ScanPart,
} from "@postern/core";
import { Conversation, type ConversationHost, type Inspection } from "./conversation.ts";
import type { Milter } from "./milter.ts";
import { contentEdits, Trace } from "./modifications.ts";
import type { Step } from "./step.ts";

export class Chain {
  readonly #conversations: readonly Conversation[];
  /** Of the message that is told now. */
  #transactionId: string | undefined;
  /** A milter has it thrown away: nobody else is asked about it. */
  #discarded: string | undefined;
  /** Monotonic. */
  lastUsedAt = 0;

  constructor(milters: readonly Milter[], host: ConversationHost) {
    this.#conversations = milters.map((milter) => new Conversation(milter, host));
  }

  ask(step: Step): MaybePromise<Objection | undefined> {
    if (step.kind === "mail") this.#begin(step.occasion.transaction?.id);
    return this.#discarded === undefined ? this.#from(0, step) : undefined;
  }

  #from(start: number, step: Step): MaybePromise<Objection | undefined> {
    for (let at = start; at < this.#conversations.length; at += 1) {
      const conversation = this.#conversations[at] as Conversation;
      const answer = conversation.ask(step);
      if (isPromise(answer)) {
        return answer.then((late) => this.#decide(conversation, step, late) ?? this.#from(this.#next(at), step));
      }
      const decided = this.#decide(conversation, step, answer);
      if (decided !== undefined) return decided;
    }
    return undefined;
  }

  #next(at: number): number {
    return this.#discarded === undefined ? at + 1 : this.#conversations.length;
  }

  #decide(conversation: Conversation, step: Step, objection: Objection | undefined): Objection | undefined {
    if (conversation.wantsDiscard) this.#discarded = conversation.milter.settings.name;
    // A refused MAIL begins nothing: those that took it must not wait for the rest.
    if (objection !== undefined && step.kind === "mail") this.abort(this.#transactionId);
    return objection;
  }

  /** Every milter sees the message as those before it left it. */
  async inspect(ask: ScanAsk): Promise<readonly ScanPart[]> {
    const { signal } = ask;
    const effects: Effect[] = [];
    const edits: Edit[] = [];
    const trace = new Trace();
    let { message } = ask;
    for (const [at, conversation] of this.#conversations.entries()) {
      if (this.#discarded !== undefined) break;
      const said = await conversation.inspect(message, ask, trace);
      if (signal.aborted) return [];
      const { name } = conversation.milter.settings;
      if (said.objection !== undefined) {
        this.#end();
        return [{ kind: "log", text: `info: ${said.objection.kind} by milter ${name}` }, said.objection];
      }
      if (said.discard) this.#discarded = name;
      effects.push(...effectsOf(said, name));
      if (said.modified === undefined) continue;
      edits.push(...said.modified.edits);
      const seen = contentEdits(said.modified.edits);
      if (seen.length > 0 && at < this.#conversations.length - 1) message = (await applyEdits(message, seen)).message;
    }
    const discarded = this.#discarded;
    this.#end();
    if (discarded !== undefined) return [{ kind: "discard", text: `discarded by milter ${discarded}` }];
    // As in Postfix: it is taken, and nobody gets it.
    if (leavesNobody(ask, edits)) return [{ kind: "discard", text: "its milters left no recipient" }];
    return [...effects, ...edits.map((edit) => ({ kind: "edit", edit }) as const)];
  }

  /** A transaction that ended without a message. */
  abort(transactionId: string | undefined): void {
    if (transactionId === undefined || transactionId !== this.#transactionId) return;
    this.#end();
  }

  close(): void {
    for (const conversation of this.#conversations) conversation.close();
  }

  #begin(transactionId: string | undefined): void {
    this.#end();
    this.#transactionId = transactionId;
  }

  #end(): void {
    this.#transactionId = undefined;
    this.#discarded = undefined;
    for (const conversation of this.#conversations) conversation.abort();
  }
}

function leavesNobody({ transaction: { recipients } }: ScanAsk, edits: readonly Edit[]): boolean {
  if (!edits.some(({ kind }) => kind === "removeRecipient")) return false;
  const left = new Set(recipients.map(({ address }) => address));
  for (const edit of edits) {
    if (edit.kind === "addRecipient") left.add(edit.address);
    else if (edit.kind === "removeRecipient") left.delete(edit.address);
  }
  return left.size === 0;
}

function effectsOf({ modified, quarantine, lost }: Inspection, name: string): Effect[] {
  const effects: Effect[] = [...(modified?.effects ?? [])].map((effect) =>
    effect.kind === "quarantine" ? asideBy(name, effect.text) : effect,
  );
  if (quarantine !== undefined) effects.push(asideBy(name, quarantine));
  if (lost?.policy === "quarantine") {
    effects.push({ kind: "quarantine", text: `milter ${name} gave no verdict (${lost.reason})` });
  } else if (lost?.policy === "skip") {
    effects.push(
      { kind: "prepend", name: unscannedHeader, value: `milter ${name} (${lost.reason})` },
      { kind: "log", text: `info: milter ${name} gave no verdict (${lost.reason}), taken unscanned` },
    );
  }
  return effects;
}

function asideBy(name: string, reason: string | undefined): Effect {
  return {
    kind: "quarantine",
    text: reason === undefined || reason === "" ? `by milter ${name}` : `${reason} (milter ${name})`,
  };
}
