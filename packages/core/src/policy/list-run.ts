/**
 * One list being asked, word after word. Synchronous until the first promise; a word that answers at once and has no opinion costs
 * its own call and nothing else.
 */
import { factsOf, Failed, type FailureFacts, type Guard } from "../guard/guard.ts";
import { objectionFor } from "../guard/objection.ts";
import { policyFor, type Owner } from "../guard/owner.ts";
import { formatReply, type Reply } from "../model/reply.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { isObjection, type Objection, type Permit, type Verdict } from "../model/verdict.ts";
import { checkAnswer, plainPermit, type Part } from "./answer.ts";
import { isMessageEffect, type MessageEffect } from "./effects.ts";
import { remembered, settlements, steps } from "./lattice.ts";
import type { Ask, Judge, Stage } from "./restriction.ts";

/** A word of a list, compiled. */
export interface CompiledWord {
  /** Where it is written: `policy.rcpt[2]`, `policy.classes.strangers[0]`. */
  readonly path: string;
  readonly word: string;
  readonly owner: Owner;
  readonly judge: Judge;
  /** warn_if_reject stands before it. */
  readonly warn: boolean;
  /** Its permit satisfies the relay guard at this stage. */
  readonly authorizes: boolean;
  /** What `postern check` and `postern explain` tell of it; nothing here decides. */
  readonly about?: WordFacts;
}

export interface WordFacts {
  /** As in the config. */
  readonly args: readonly unknown[];
  /** Where the class was named that it was unfolded from, outermost first. */
  readonly via: readonly string[];
  readonly always: "permit" | "reject" | "defer" | undefined;
  readonly asksService: boolean;
}

export interface CompiledList {
  readonly stage: Stage;
  readonly words: readonly CompiledWord[];
}

/** Who decided, for logs and explain. */
export interface Decision {
  /** "relay guard" and "recipients" are core's own questions, at the end of `rcpt`; "scanners" stand beside `message`. */
  readonly list: Stage | "relay guard" | "recipients" | "scanners";
  readonly path: string;
  readonly word: string;
  /** The plugin's instance name, or "core". */
  readonly plugin: string;
  /** The entry of a table that said so, when the word tells. */
  readonly match?: TableMatch;
  /** It gave no answer, for this reason: its plugin's `onError` decided. */
  readonly failure?: FailureFacts;
}

export interface TableMatch {
  /** `type:name`. */
  readonly table: string;
  readonly key: string;
}

const matches = new WeakMap<Ask, TableMatch>();

/** For words that ask tables: what they are about to answer stands there. For refusals only; nobody else is asked who decided. */
export function tellMatch(ask: Ask, match: TableMatch): void {
  matches.set(ask, match);
}

export interface Deferral {
  readonly reply: Reply;
  readonly by: Decision;
}

type DeferIf = Extract<Part, { readonly kind: "deferIfPermit" | "deferIfReject" }>;

/** What is known while one list is asked. */
export class ListRun {
  readonly ask: Ask;
  readonly #note: ((text: string, by: Decision) => void) | undefined;
  /** Of the list that is being asked; `undefined` at its end without one. */
  verdict: Verdict | undefined;
  by: Decision | undefined;
  /** Kept from stage to stage. The first reason stays. */
  ifPermit: Deferral | undefined;
  /** Of one list, and of `relay` for `rcpt`. */
  ifReject: Deferral | undefined;
  authorized = false;
  effects: MessageEffect[] | undefined;

  constructor(ask: Ask, ifPermit: Deferral | undefined, note: ((text: string, by: Decision) => void) | undefined) {
    this.ask = ask;
    this.ifPermit = ifPermit;
    this.#note = note;
  }

  /** A line for the log. */
  note(text: string, by: Decision): void {
    this.#note?.(text, by);
  }

  /** Takes a part of an answer in; true when the list has ended. */
  take(part: Part, word: CompiledWord): boolean {
    if (part.kind === "log") {
      this.note(part.text, this.decisionOf(word));
      return false;
    }
    if (isMessageEffect(part)) {
      (this.effects ??= []).push(part);
      return false;
    }
    switch (steps[part.kind][word.warn ? "warned" : "plain"]) {
      case "endPermit":
        this.authorized ||= word.authorizes && part !== plainPermit;
        return this.#end(part as Permit, word);
      case "endReject":
      case "endDefer":
        return this.#end(part as Objection, word);
      case "rememberIfPermit":
        this.ifPermit = this.#remember(this.ifPermit, part as DeferIf, word);
        break;
      case "rememberIfReject":
        this.ifReject = this.#remember(this.ifReject, part as DeferIf, word);
        break;
      case "warn":
        this.#warn((part as Objection).reply, this.#refusedBy(word));
        break;
    }
    return this.isStuck;
  }

  /** Both kinds of deferral are remembered: whatever comes now, the answer is one of them. */
  get isStuck(): boolean {
    return this.ifPermit !== undefined && this.ifReject !== undefined;
  }

  /**
   * A word that gave no answer: its plugin's onError, which warn_if_reject does not soften. With `quarantine` the list goes on, and what is
   * taken in the end is put aside. True when the list has ended.
   */
  fail(failed: Failed, word: CompiledWord): boolean {
    if (policyFor(failed.owner.onError, failed.reason) === "quarantine") {
      (this.effects ??= []).push({ kind: "quarantine", text: `${word.word} gave no answer (${failed.reason})` });
      return false;
    }
    const objection = objectionFor(failed);
    if (objection === undefined) return false;
    this.#end(objection, word);
    this.by = { ...this.decisionOf(word), failure: factsOf(failed) };
    return true;
  }

  /** The list's refusal as it stands after the lattice; `undefined` when it refuses nothing. */
  settleRefusal(): Objection | undefined {
    return this.verdict === undefined || this.verdict.kind === "permit" ? undefined : this.settle();
  }

  /** The answer after the last list: a permit may turn into a remembered deferral. */
  settle(): Objection | undefined {
    const kind = this.verdict?.kind ?? "permit";
    const settled = settlements[kind][remembered(this.ifPermit !== undefined, this.ifReject !== undefined)];
    if (settled === "permit") return undefined;
    if (settled === "reject" || settled === "defer") return this.verdict as Objection;
    const deferral = (settled === "deferIfPermit" ? this.ifPermit : this.ifReject) as Deferral;
    this.by = deferral.by;
    return { kind: "defer", reply: deferral.reply };
  }

  decisionOf({ path, word, owner }: CompiledWord): Decision {
    return { list: this.ask.stage, path, word, plugin: owner.name };
  }

  /** With the table's entry, which belongs to this refusal and to no later one. */
  #refusedBy(word: CompiledWord): Decision {
    const match = matches.get(this.ask);
    if (match === undefined) return this.decisionOf(word);
    matches.delete(this.ask);
    return { ...this.decisionOf(word), match };
  }

  /** The first reason stays. */
  #remember(known: Deferral | undefined, { reply }: DeferIf, word: CompiledWord): Deferral {
    const by = this.#refusedBy(word);
    return known ?? { reply, by };
  }

  #warn(reply: Reply, by: Decision): void {
    this.note(`reject_warning: ${formatReply(reply)}`, by);
  }

  #end(verdict: Verdict, word: CompiledWord): true {
    this.verdict = verdict;
    this.by = verdict.kind === "permit" ? this.decisionOf(word) : this.#refusedBy(word);
    return true;
  }
}

/** Asks the words in order until one ends the list. Never throws; the result is in `run`. */
export function runWords(words: readonly CompiledWord[], run: ListRun, guard: Guard, start = 0): MaybePromise<void> {
  for (let at = start; at < words.length; at++) {
    const word = words[at] as CompiledWord;
    let answer: unknown;
    try {
      answer = word.judge(run.ask);
    } catch (error) {
      if (run.fail(guard.fail(word.owner, word.word, error), word)) return;
      continue;
    }
    if (answer === undefined) {
      if (run.isStuck) return;
      continue;
    }
    const settled = guard.settle(word.owner, word.word, checkAnswer, answer);
    if (isPromise(settled)) {
      return settled.then((late) => (takeAll(run, word, late) ? undefined : runWords(words, run, guard, at + 1)));
    }
    if (takeAll(run, word, settled)) return;
  }
  return undefined;
}

/** True when the list has ended. */
export function takeAll(run: ListRun, word: CompiledWord, answer: readonly Part[] | undefined | Failed): boolean {
  if (answer === undefined) return run.isStuck;
  if (answer instanceof Failed) return run.fail(answer, word) || run.isStuck;
  const wasStuck = run.isStuck;
  let ended = wasStuck;
  for (const part of answer) {
    // Effects beside a verdict count wherever they stand. What a table's words said before they got stuck comes before their verdict.
    if (!wasStuck && run.isStuck && (part.kind === "permit" || isObjection(part))) break;
    ended = run.take(part, word) || ended;
  }
  return ended;
}
