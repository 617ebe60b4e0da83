/**
 * The policy as one session asks it: runs the lists, keeps what delayed lists said, the deferrals that are remembered from stage to
 * stage, and the effects gathered on the way.
 */
import { Failed } from "../guard/guard.ts";
import { coreOwner } from "../guard/owner.ts";
import type { Message } from "../message/message.ts";
import {
  after,
  isPromise,
  type MaybePromise,
  type Objection,
  type Recipient,
  type RecipientAnswer,
  type Session,
  type Transaction,
} from "../model/index.ts";
import type { Scanned } from "./at-message.ts";
import { noteFor } from "./compile.ts";
import { eachOnce, type MessageEffect } from "./effects.ts";
import { ListRun, runWords, takeAll, type Decision, type Deferral } from "./list-run.ts";
import { ruleMessage, type MessageRuling } from "./message-ruling.ts";
import type { Policy } from "./policy.ts";
import { guardRelay } from "./relay-guard.ts";
import type { Stage } from "./restriction.ts";
import { checkScanned, scanDecision, scannersWord, type CheckedScan } from "./scanners-word.ts";
import { guardListed } from "./unlisted.ts";

/** What is known at a stage. */
export interface PolicyQuestion {
  readonly session: Session;
  /** From MAIL on. */
  readonly transaction?: Transaction | undefined;
  /** At RCPT. */
  readonly recipient?: Recipient | undefined;
  /** Explaining or testing: no trace in any state, no notes. */
  readonly dry?: boolean;
}

/** What the lists of one command said. */
export interface Ruling {
  /** `undefined`: nothing against it. */
  readonly objection: Objection | undefined;
  /** Who objected, or whose permit ended the last list; `undefined` when the lists ended without a verdict. */
  readonly by: Decision | undefined;
  readonly effects: readonly MessageEffect[];
  /** A remembered deferral for the stages to come. */
  readonly ifPermit: Deferral | undefined;
}

type EarlyStage = "connect" | "helo" | "mail";
const earlyStages: readonly EarlyStage[] = Object.freeze(["connect", "helo", "mail"]);

const noEffects: readonly MessageEffect[] = Object.freeze([]);
const nothing: Ruling = Object.freeze({ objection: undefined, by: undefined, effects: noEffects, ifPermit: undefined });

export class SessionJudge {
  readonly #policy: Policy;
  /** Of the early lists that were asked at their own commands; none when they are delayed. */
  readonly #early = new Map<EarlyStage, Ruling>();
  /** By address: a recipient that is refused after all takes its effects with it. */
  readonly #recipientEffects = new Map<string, readonly MessageEffect[]>();
  #dataEffects: readonly MessageEffect[] = noEffects;
  /** Their lists said that the message goes nowhere; it does when one of them is a recipient in the end. */
  readonly #discarding = new Set<string>();
  #mailDiscards = false;
  #decision: Decision | undefined;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  /** Who made the last answer. */
  get decision(): Decision | undefined {
    return this.#decision;
  }

  /**
   * Asks the list of a stage; at `rcpt` also the delayed lists, `relay`, the relay guard, and whether the recipient exists. An
   * objection is the reply to the command. A delayed list answers at `rcpt` and gives `undefined` here. Never throws.
   */
  ask(stage: Exclude<Stage, "relay" | "message">, question: PolicyQuestion): MaybePromise<Objection | undefined> {
    return after(this.rule(stage, question), ({ objection }) => objection);
  }

  /** The same with all that is to be known about the answer. */
  rule(stage: Exclude<Stage, "relay" | "message">, question: PolicyQuestion): MaybePromise<Ruling> {
    switch (stage) {
      case "connect":
      case "helo":
      case "mail":
        return this.#policy.delayReject ? this.#decided(nothing) : this.#ruleEarly(stage, question);
      case "rcpt":
        return this.#ruleRecipient(question);
      case "data":
        if (this.#isDiscarding(question)) return this.#decided(nothing);
        return after(this.#runList("data", aboutOne(question), undefined), (run) => {
          const ruling = this.#final(run);
          this.#dataEffects = ruling.effects;
          return ruling;
        });
    }
  }

  /** Asks the `message` list, hears the scanners, and merges both into one answer of SMTP. Never throws. */
  judge(
    question: PolicyQuestion & { readonly transaction: Transaction; readonly message: Message },
    scanned: MaybePromise<Scanned | undefined>,
  ): MaybePromise<MessageRuling> {
    // When the list has refused, nobody waits for the scanners any more.
    if (isPromise(scanned)) scanned.catch(() => undefined);
    return after(this.#runMessageList(question), (run) => {
      const refusal = run.settleRefusal();
      if (refusal !== undefined) return this.#merge(question.transaction, run, refusal);
      const { guard } = this.#policy;
      const check = (given: unknown): CheckedScan => checkScanned(given as Scanned | undefined);
      const settled: MaybePromise<CheckedScan | Failed> = isPromise(scanned)
        ? scanned.then(check).catch((error: unknown) => guard.fail(coreOwner, "scanners", error))
        : guard.settle(coreOwner, "scanners", check, scanned);
      return after(settled, (answer) => {
        const failed = answer instanceof Failed;
        const ended = takeAll(run, scannersWord, failed ? answer : answer.parts);
        if (!failed) for (const { text, by } of answer.notes) run.note(text, scanDecision(by));
        if (ended && run.by !== undefined) run.by = scanDecision(failed ? undefined : answer.by);
        return this.#merge(question.transaction, run, run.settle(), failed ? undefined : answer.recipients);
      });
    });
  }

  /** The transaction is over, with or without a message: its effects go. */
  resetTransaction(): void {
    this.#early.delete("mail");
    this.#recipientEffects.clear();
    this.#dataEffects = noEffects;
    this.#discarding.clear();
    this.#mailDiscards = false;
  }

  /** Of the recipients that were taken: who passed the lists may be refused yet, by the hook behind them. */
  #isDiscarding({ transaction }: PolicyQuestion): boolean {
    if (this.#mailDiscards || this.#discarding.size === 0) return this.#mailDiscards;
    return transaction?.recipients.some(({ address }) => this.#discarding.has(address)) === true;
  }

  /** Nothing more is asked about a message that goes nowhere. */
  #runMessageList(question: PolicyQuestion): MaybePromise<ListRun> {
    if (!this.#isDiscarding(question)) return this.#runList("message", aboutOne(question), undefined);
    return this.#begin("message", question, undefined);
  }

  #begin(stage: Stage, question: PolicyQuestion, ifPermit: Deferral | undefined): ListRun {
    const ask = { dry: false, ...question, stage };
    const run = new ListRun(ask, ifPermit, noteFor(ask, this.#policy.note));
    run.authorized = !this.#policy.answersForRecipients;
    return run;
  }

  #ask(run: ListRun): MaybePromise<void> {
    return runWords(this.#policy.lists[run.ask.stage].words, run, this.#policy.guard);
  }

  #runList(stage: Stage, question: PolicyQuestion, ifPermit: Deferral | undefined): MaybePromise<ListRun> {
    const run = this.#begin(stage, question, ifPermit);
    const done = this.#ask(run);
    return isPromise(done) ? done.then(() => run) : run;
  }

  /** One of the lists before RCPT: it refuses or not; a remembered deferral waits for RCPT. */
  #ruleEarly(stage: EarlyStage, question: PolicyQuestion): MaybePromise<Ruling> {
    const carried = this.#carried(stage);
    if (this.#policy.lists[stage].words.length === 0) {
      return this.#keep(stage, carried === undefined ? nothing : { ...nothing, ifPermit: carried });
    }
    return after(this.#runList(stage, question, carried), (run) => {
      const objection = run.settleRefusal();
      const { by, effects = noEffects, ifPermit } = run;
      // What an earlier list discards is discarded, and yet its recipients are judged.
      if (stage === "mail" && objection === undefined) this.#mailDiscards = isDiscarded(run);
      return this.#keep(stage, { objection, by, effects, ifPermit });
    });
  }

  #keep(stage: EarlyStage, ruling: Ruling): Ruling {
    this.#early.set(stage, ruling);
    return this.#decided(ruling);
  }

  /**
   * One RCPT, as Postfix's smtpd_check_rcpt: the delayed lists, each time anew, since they know the recipient; then `relay` and
   * `rcpt`. A remembered deferral goes from list to list, one for a refusal from `relay` to `rcpt` alone.
   */
  #ruleRecipient(question: PolicyQuestion): MaybePromise<Ruling> {
    const { recipient } = question;
    // RFC 5321 §4.5.1: whoever comes may write to the postmaster.
    if (recipient !== undefined && recipient.address.toLowerCase() === "postmaster") return this.#decided(nothing);
    if (!this.#isDiscarding(question)) return this.#askLists(question);
    const carried = this.#policy.delayReject ? undefined : this.#carried();
    return this.#discard(this.#begin("rcpt", question, carried), () => this.#askLists(question));
  }

  #askLists(question: PolicyQuestion): MaybePromise<Ruling> {
    if (this.#policy.delayReject) return this.#ruleDelayed(0, question, undefined, undefined);
    return this.#ruleRelay(question, this.#carried(), undefined);
  }

  #ruleDelayed(
    start: number,
    question: PolicyQuestion,
    ifPermit: Deferral | undefined,
    effects: MessageEffect[] | undefined,
  ): MaybePromise<Ruling> {
    for (let at = start; at < earlyStages.length; at++) {
      const stage = earlyStages[at] as EarlyStage;
      if (this.#policy.lists[stage].words.length === 0) continue;
      // Who said no HELO is not asked about it.
      if (stage === "helo" && question.session.helo === undefined) continue;
      const run = this.#begin(stage, question, ifPermit);
      run.effects = effects;
      const done = this.#ask(run);
      if (isPromise(done)) return done.then(() => this.#afterDelayed(at, question, run));
      if (run.verdict !== undefined) return this.#afterDelayed(at, question, run);
      ({ ifPermit, effects } = run);
    }
    return this.#ruleRelay(question, ifPermit, effects);
  }

  #afterDelayed(at: number, question: PolicyQuestion, run: ListRun): MaybePromise<Ruling> {
    const refusal = run.settleRefusal();
    if (refusal !== undefined) return this.#decided(rulingOf(run, refusal));
    const next = (): MaybePromise<Ruling> => this.#ruleDelayed(at + 1, question, run.ifPermit, run.effects);
    return isDiscarded(run) ? this.#discard(run, next) : next();
  }

  #ruleRelay(
    question: PolicyQuestion,
    ifPermit: Deferral | undefined,
    effects: MessageEffect[] | undefined,
  ): MaybePromise<Ruling> {
    const relay = this.#begin("relay", question, ifPermit);
    relay.effects = effects;
    return after(this.#ask(relay), () => {
      const refusal = relay.settleRefusal();
      if (refusal !== undefined) return this.#decided(rulingOf(relay, refusal));
      if (isDiscarded(relay)) return this.#discard(relay, () => this.#ruleMain(question, relay));
      return this.#ruleMain(question, relay);
    });
  }

  #ruleMain(question: PolicyQuestion, relay: ListRun): MaybePromise<Ruling> {
    const run = this.#begin("rcpt", question, relay.ifPermit);
    run.ifReject = relay.ifReject;
    run.authorized = relay.authorized;
    run.effects = relay.effects;
    return after(this.#ask(run), () => this.#finishRecipient(run));
  }

  /** The message goes nowhere: no list is asked any more, but for what would say that the client may relay. */
  #discard(run: ListRun, askOn: () => MaybePromise<Ruling>): MaybePromise<Ruling> {
    const { recipient } = run.ask;
    if (recipient === undefined) return askOn();
    return after(guardRelay(recipient, run.authorized, this.#policy.addresses), (denied) =>
      denied === undefined ? this.#finishRecipient(run) : askOn(),
    );
  }

  /** After the lists: the relay guard, the remembered deferral, and whether the recipient exists. */
  #finishRecipient(run: ListRun): MaybePromise<Ruling> {
    const refusal = run.settleRefusal();
    if (refusal !== undefined) return this.#decided(rulingOf(run, refusal));
    const { addresses, answersForRecipients } = this.#policy;
    const { recipient, transaction } = run.ask;
    if (recipient === undefined) return this.#final(run);
    return after(guardRelay(recipient, run.authorized, addresses), (denied) => {
      if (denied !== undefined) return this.#decided(coreRuling(run, denied, "relay guard"));
      const deferral = run.settle();
      if (deferral !== undefined) return this.#decided(rulingOf(run, deferral));
      const discards = isDiscarded(run);
      return after(
        discards || !answersForRecipients || this.#isDiscarding(run.ask)
          ? undefined
          : guardListed(recipient.address, addresses, transaction?.sender ?? ""),
        (unknown) => {
          if (unknown !== undefined) return this.#decided(this.#refuseUnknown(run, unknown));
          if (discards) this.#discarding.add(recipient.address);
          if (run.effects !== undefined) this.#recipientEffects.set(recipient.address, run.effects);
          return this.#decided(rulingOf(run, undefined));
        },
      );
    });
  }

  /** A refusal like any other: a remembered `defer_if_reject` goes before it. */
  #refuseUnknown(run: ListRun, unknown: Objection): Ruling {
    const { ifReject } = run;
    if (ifReject === undefined || unknown.kind !== "reject") return coreRuling(run, unknown, "recipients");
    return { ...rulingOf(run, { kind: "defer", reply: ifReject.reply }), by: ifReject.by };
  }

  #final(run: ListRun): Ruling {
    return this.#decided(rulingOf(run, run.settle()));
  }

  #decided(ruling: Ruling): Ruling {
    this.#decision = ruling.by;
    return ruling;
  }

  /** What the last early list before this one remembered, or what was remembered before it. */
  #carried(to?: EarlyStage): Deferral | undefined {
    for (let at = (to === undefined ? earlyStages.length : earlyStages.indexOf(to)) - 1; at >= 0; at--) {
      const ruling = this.#early.get(earlyStages[at] as EarlyStage);
      if (ruling !== undefined) return ruling.ifPermit;
    }
    return undefined;
  }

  #merge(
    transaction: Transaction,
    run: ListRun,
    objection: Objection | undefined,
    each?: readonly RecipientAnswer[],
  ): MessageRuling {
    const ruling = ruleMessage(transaction.recipients, this.#policy.mixed, {
      objection,
      by: run.by,
      each,
      effects: this.#gathered(transaction, run),
    });
    this.#decision = ruling.by;
    return ruling;
  }

  #gathered({ recipients }: Transaction, run: ListRun): readonly MessageEffect[] {
    const all = [
      ...earlyStages.flatMap((stage) => this.#early.get(stage)?.effects ?? noEffects),
      ...recipients.flatMap(({ address }) => this.#recipientEffects.get(address) ?? noEffects),
      ...this.#dataEffects,
      ...(run.effects ?? noEffects),
    ];
    return all.length === 0 ? noEffects : eachOnce(all);
  }
}

function rulingOf(run: ListRun, objection: Objection | undefined): Ruling {
  const { by, effects = noEffects, ifPermit } = run;
  return { objection, by, effects, ifPermit };
}

function coreRuling(run: ListRun, objection: Objection, list: "relay guard" | "recipients"): Ruling {
  return { ...rulingOf(run, objection), by: { list, path: list, word: list, plugin: "core" } };
}

/** Of several recipients none stands for the message. */
function aboutOne(question: PolicyQuestion): PolicyQuestion {
  const [recipient, another] = question.transaction?.recipients ?? [];
  return { ...question, recipient: another === undefined ? recipient : undefined };
}

function isDiscarded({ effects }: ListRun): boolean {
  return effects !== undefined && effects.some(({ kind }) => kind === "discard");
}
