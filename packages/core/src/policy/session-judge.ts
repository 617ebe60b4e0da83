/**
 * The policy as one session asks it: runs the lists, keeps what delayed lists said, the deferrals that are remembered from stage to
 * stage, and the effects gathered on the way.
 */
import type { Failed } from "../guard/guard.ts";
import { coreOwner } from "../guard/owner.ts";
import type { Message } from "../message/message.ts";
import {
  after,
  isPromise,
  permit,
  type Answer,
  type MaybePromise,
  type Objection,
  type Recipient,
  type Session,
  type Transaction,
} from "../model/index.ts";
import { checkAnswer, type Part } from "./answer.ts";
import { mergeVerdicts } from "./at-message.ts";
import { noteFor } from "./compile.ts";
import type { MessageEffect } from "./effects.ts";
import { ListRun, runWords, takeAll, type CompiledWord, type Decision, type Deferral } from "./list-run.ts";
import type { Policy } from "./policy.ts";
import { guardRelay } from "./relay-guard.ts";
import type { Stage } from "./restriction.ts";
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

export interface MessageRuling {
  /** The one answer, when the message is not taken. */
  readonly objection: Objection | undefined;
  readonly by: Decision | undefined;
  /** For whom it is taken, when it is. */
  readonly recipients: readonly Recipient[];
  /** Gathered over the session's and the transaction's stages, in order; each header once. */
  readonly effects: readonly MessageEffect[];
}

type EarlyStage = "connect" | "helo" | "mail";
const earlyStages: readonly EarlyStage[] = Object.freeze(["connect", "helo", "mail"]);

const noEffects: readonly MessageEffect[] = Object.freeze([]);
const nothing: Ruling = Object.freeze({ objection: undefined, by: undefined, effects: noEffects, ifPermit: undefined });

/** The scanners' answer comes in like that of one more word, at the end of the list. */
const scanners: CompiledWord = Object.freeze({
  path: "scanners",
  word: "scanners",
  owner: coreOwner,
  judge: () => undefined,
  warn: false,
  authorizes: false,
});

export class SessionJudge {
  readonly #policy: Policy;
  /** Of the early lists that were asked, at their own commands or together at the first RCPT. */
  readonly #early = new Map<EarlyStage, Ruling>();
  #delayed: MaybePromise<Ruling> | undefined;
  /** By address: a recipient that is refused after all takes its effects with it. */
  readonly #recipientEffects = new Map<string, readonly MessageEffect[]>();
  #dataEffects: readonly MessageEffect[] = noEffects;
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
        return after(this.#ruleDelayed(question), (early) =>
          early.objection === undefined ? this.#ruleRecipient(question) : this.#decided(early),
        );
      case "data":
        return after(this.#runList("data", question, this.#carried()), (run) => {
          const ruling = this.#final(run);
          this.#dataEffects = ruling.effects;
          return ruling;
        });
    }
  }

  /** Asks the `message` list, hears the scanners, and merges both into one answer of SMTP. Never throws. */
  judge(
    question: PolicyQuestion & { readonly transaction: Transaction; readonly message: Message },
    scanned: MaybePromise<Answer>,
  ): MaybePromise<MessageRuling> {
    // When the list has refused, nobody waits for the scanners any more.
    if (isPromise(scanned)) scanned.catch(() => undefined);
    return after(this.#runList("message", question, this.#carried()), (run) => {
      const refusal = run.settleRefusal();
      if (refusal !== undefined) return this.#merge(question.transaction, run, refusal);
      const { guard } = this.#policy;
      const settled: MaybePromise<readonly Part[] | undefined | Failed> = isPromise(scanned)
        ? scanned.then(checkAnswer).catch((error: unknown) => guard.fail(coreOwner, "scanners", error))
        : guard.settle(coreOwner, "scanners", checkAnswer, scanned);
      return after(settled, (answer) => {
        const ended = takeAll(run, scanners, answer);
        if (ended && run.by !== undefined) run.by = { ...run.by, list: "scanners" };
        return this.#merge(question.transaction, run, run.settle());
      });
    });
  }

  /** The transaction is over, with or without a message: its effects go. */
  resetTransaction(): void {
    this.#delayed = undefined;
    this.#early.delete("mail");
    if (this.#policy.delayReject) this.#early.clear();
    this.#recipientEffects.clear();
    this.#dataEffects = noEffects;
  }

  #runList(stage: Stage, question: PolicyQuestion, ifPermit: Deferral | undefined): MaybePromise<ListRun> {
    const ask = { dry: false, ...question, stage };
    const run = new ListRun(ask, ifPermit, noteFor(ask, this.#policy.note));
    const done = runWords(this.#policy.lists[stage].words, run, this.#policy.guard);
    return isPromise(done) ? done.then(() => run) : run;
  }

  /** One of the lists before RCPT: it refuses or not; a remembered deferral waits for RCPT. */
  #ruleEarly(stage: EarlyStage, question: PolicyQuestion): MaybePromise<Ruling> {
    if (this.#policy.lists[stage].words.length === 0) return this.#keep(stage, nothing);
    return after(this.#runList(stage, question, undefined), (run) => {
      const objection = run.settleRefusal();
      const { by, effects = noEffects, ifPermit } = run;
      return this.#keep(stage, { objection, by, effects, ifPermit });
    });
  }

  #keep(stage: EarlyStage, ruling: Ruling): Ruling {
    this.#early.set(stage, ruling);
    return this.#decided(ruling);
  }

  /** The early lists in order until one refuses: once a transaction, since a session learns more from one to the next. */
  #ruleDelayed(question: PolicyQuestion): MaybePromise<Ruling> {
    if (!this.#policy.delayReject) return nothing;
    this.#delayed ??= this.#ruleAll(0, { ...question, recipient: undefined });
    return this.#delayed;
  }

  #ruleAll(start: number, question: PolicyQuestion): MaybePromise<Ruling> {
    for (let at = start; at < earlyStages.length; at++) {
      const stage = earlyStages[at] as EarlyStage;
      // Who said no HELO is not asked about it.
      if (stage === "helo" && question.session.helo === undefined) continue;
      const ruling = this.#ruleEarly(stage, question);
      if (isPromise(ruling)) {
        return ruling.then((late) => (late.objection === undefined ? this.#ruleAll(at + 1, question) : late));
      }
      if (ruling.objection !== undefined) return ruling;
    }
    return nothing;
  }

  #ruleRecipient(question: PolicyQuestion): MaybePromise<Ruling> {
    const { lists, guard } = this.#policy;
    return after(this.#runList("relay", question, this.#carried()), (relay) => {
      const refusal = relay.settleRefusal();
      if (refusal !== undefined) return this.#decided(rulingOf(relay, refusal));
      const ask = { ...relay.ask, stage: "rcpt" as const };
      const run = new ListRun(ask, relay.ifPermit, noteFor(ask, this.#policy.note));
      run.authorized = relay.authorized;
      run.effects = relay.effects;
      return after(runWords(lists.rcpt.words, run, guard), () => this.#finishRecipient(run));
    });
  }

  /** After the lists: the relay guard, the remembered deferral, and whether the recipient exists. */
  #finishRecipient(run: ListRun): MaybePromise<Ruling> {
    const refusal = run.settleRefusal();
    if (refusal !== undefined) return this.#decided(rulingOf(run, refusal));
    const { addresses } = this.#policy;
    const { recipient, transaction } = run.ask;
    if (recipient === undefined) return this.#final(run);
    return after(guardRelay(recipient, run.authorized, addresses), (denied) => {
      if (denied !== undefined) return this.#decided(coreRuling(run, denied, "relay guard"));
      const deferral = run.settle();
      if (deferral !== undefined) return this.#decided(rulingOf(run, deferral));
      const isDiscarded = run.effects?.some(({ kind }) => kind === "discard") === true;
      return after(isDiscarded ? undefined : guardListed(recipient.address, addresses, transaction?.sender ?? ""), (unknown) => {
        if (unknown !== undefined) return this.#decided(coreRuling(run, unknown, "recipients"));
        if (run.effects !== undefined) this.#recipientEffects.set(recipient.address, run.effects);
        return this.#decided(rulingOf(run, undefined));
      });
    });
  }

  #final(run: ListRun): Ruling {
    return this.#decided(rulingOf(run, run.settle()));
  }

  #decided(ruling: Ruling): Ruling {
    this.#decision = ruling.by;
    return ruling;
  }

  /** The first deferral that an early list remembered. */
  #carried(): Deferral | undefined {
    for (const { ifPermit } of this.#early.values()) if (ifPermit !== undefined) return ifPermit;
    return undefined;
  }

  #merge(transaction: Transaction, run: ListRun, objection: Objection | undefined): MessageRuling {
    this.#decision = run.by;
    const verdict = objection ?? permit;
    const { recipients } = transaction;
    const merged = mergeVerdicts(
      recipients.map(() => verdict),
      this.#policy.mixed,
    );
    return {
      objection: merged.objection,
      by: run.by,
      recipients: recipients.filter((_, index) => merged.accepted.includes(index)),
      effects: this.#gathered(transaction, run),
    };
  }

  #gathered({ recipients }: Transaction, run: ListRun): readonly MessageEffect[] {
    const all = [
      ...earlyStages.flatMap((stage) => this.#early.get(stage)?.effects ?? noEffects),
      ...recipients.flatMap(({ address }) => this.#recipientEffects.get(address) ?? noEffects),
      ...this.#dataEffects,
      ...(run.effects ?? noEffects),
    ];
    return all.length === 0 ? noEffects : unique(all);
  }
}

function rulingOf(run: ListRun, objection: Objection | undefined): Ruling {
  const { by, effects = noEffects, ifPermit } = run;
  return { objection, by, effects, ifPermit };
}

function coreRuling(run: ListRun, objection: Objection, list: "relay guard" | "recipients"): Ruling {
  return { ...rulingOf(run, objection), by: { list, path: list, word: list, plugin: "core" } };
}

/** The same word for three recipients asks for one header. */
function unique(effects: readonly MessageEffect[]): readonly MessageEffect[] {
  const seen = new Map(effects.map((effect) => [JSON.stringify(effect), effect]));
  return [...seen.values()];
}
