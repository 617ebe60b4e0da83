/** From a list as it is written to a list that can be asked: words resolved, classes unfolded, arguments checked, tables opened. */
import { ConfigError } from "../errors.ts";
import { InvalidAnswer, type Guard } from "../guard/guard.ts";
import { runAtSetup } from "../guard/at-setup.ts";
import { coreOwner } from "../guard/owner.ts";
import { after, defer, type Answer, type Clock, type Session } from "../model/index.ts";
import type { LookupTable, TableSpec } from "../tables/index.ts";
import type { AddressBook } from "../routing/address-book.ts";
import { plainPermit } from "./answer.ts";
import { parseEntries, parseEntry, type EntryNames, type ParsedEntry } from "./entries.ts";
import { ListRun, runWords, type CompiledWord, type Decision } from "./list-run.ts";
import {
  stages,
  type Ask,
  type CompileScope,
  type Judge,
  type PolicyEntry,
  type Restriction,
  type Stage,
} from "./restriction.ts";
import { describeSubject, rejectedText } from "./subject.ts";
import { authorizingStages, type Vocabulary } from "./vocabulary.ts";

/** What the language needs of its generation. */
export interface PolicyScope {
  readonly clock: Clock;
  readonly guard: Guard;
  readonly addresses: AddressBook;
  openTable(spec: TableSpec): Promise<LookupTable>;
  /** As of `CompileScope`. */
  readonly checkFilter?: ((destination: string) => void) | undefined;
  /**
   * False: the recipients are another mail server's, which has said who may relay and who exists before it asks. True unless given: the
   * relay guard stands.
   */
  readonly answersForRecipients?: boolean | undefined;
  /** Told of `log` effects and of what warn_if_reject let pass. */
  readonly note?: ((note: PolicyNote) => void) | undefined;
  /** Explaining: each word's judge is put into another one, while it is compiled. Nobody pays for it who does not explain. */
  readonly trace?: WordTrace | undefined;
}

/** Gives the judge that is asked in place of `judge`. */
export type WordTrace = (word: Omit<CompiledWord, "judge">, judge: Judge) => Judge;

export interface PolicyNote {
  readonly session: Session;
  /** Of the list, whenever it is asked. */
  readonly stage: Stage;
  /** The transaction's, when there is one. */
  readonly id: string | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  /** `reject_warning: …`, `warn: …`, `info: …`, or what a word says. */
  readonly text: string;
  readonly by: Decision;
}

export class ListCompiler {
  readonly #names: EntryNames;
  readonly #classes: Readonly<Record<string, readonly PolicyEntry[]>>;
  readonly #scope: PolicyScope;
  readonly #delayReject: boolean;

  /** `delayReject`: lists before `relay` are asked at RCPT. Throws `ConfigError` for a class with a word's name, and for unknown words in classes, used or not. */
  constructor(
    classes: Readonly<Record<string, readonly PolicyEntry[]>>,
    vocabulary: Vocabulary,
    scope: PolicyScope,
    delayReject = false,
  ) {
    this.#classes = classes;
    this.#delayReject = delayReject;
    this.#names = { vocabulary, classes: new Set(Object.keys(classes)) };
    this.#scope = scope;
    for (const [name, entries] of Object.entries(classes)) {
      if (vocabulary.names().includes(name.toLowerCase())) {
        throw new ConfigError(`policy.classes.${name}: "${name}" is a word of the language; name the class otherwise`);
      }
      parseEntries(entries, `policy.classes.${name}`, this.#names);
    }
  }

  async compile(entries: readonly PolicyEntry[], path: string, stage: Stage): Promise<readonly CompiledWord[]> {
    return this.#compileAll(parseEntries(entries, path, this.#names), { stage, depth: 0, trail: [], via: [] });
  }

  /** A list that is asked at any stage by whoever has it. At a stage where a word cannot stand, it is left out. */
  async compileForAllStages(entries: readonly PolicyEntry[], path: string): Promise<Readonly<Record<Stage, Judge>>> {
    const parsed = parseEntries(entries, path, this.#names);
    const judges: Partial<Record<Stage, Judge>> = {};
    for (const stage of stages) {
      const words = await this.#compileAll(parsed, { stage, depth: 0, trail: [], via: [], lenient: true });
      judges[stage] = this.#asJudge(words);
    }
    return judges as Record<Stage, Judge>;
  }

  async #compileAll(parsed: readonly ParsedEntry[], context: CompileContext): Promise<readonly CompiledWord[]> {
    const words: CompiledWord[] = [];
    for (const entry of parsed) words.push(...(await this.#compileEntry(entry, context)));
    return words;
  }

  async #compileEntry(entry: ParsedEntry, context: CompileContext): Promise<readonly CompiledWord[]> {
    if (entry.kind === "class") return this.#compileClass(entry, context);
    const common = { path: entry.path, word: entry.name, warn: entry.warn };
    if (entry.kind === "language") {
      const about = { args: [], via: context.via, always: undefined, asksService: false };
      return [this.#traced({ ...common, owner: coreOwner, judge: deferring(entry.name), authorizes: false, about })];
    }
    const { restriction } = entry.word;
    const { deadlineMs } = restriction;
    const owner = deadlineMs === undefined ? entry.word.owner : { ...entry.word.owner, deadlineMs };
    const { stage } = context;
    if (!this.#mayStand(restriction, stage)) {
      if (context.lenient === true) return [];
      throw new ConfigError(
        `${entry.path}: "${entry.name}" cannot stand in "${stage}", ${whereElse(restriction, stage)}`,
      );
    }
    const args = checkArguments(entry);
    const scope = this.#compileScope(entry, context);
    try {
      const judge = await runAtSetup(this.#scope.guard, owner, `word "${entry.name}"`, checkJudge, () =>
        restriction.compile(args, scope),
      );
      const { always, asksService = false } = restriction;
      const about = { args: entry.args, via: context.via, always, asksService };
      const authorizes = authorizingStages(restriction).includes(stage);
      return [this.#traced({ ...common, owner, judge, authorizes, about })];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(`${entry.path}: ${entry.name}: ${error.message}`, { cause: error });
    }
  }

  async #compileClass({ name, path, warn }: ParsedEntry, context: CompileContext): Promise<readonly CompiledWord[]> {
    if (context.trail.includes(name)) {
      const circle = [...context.trail, name].join(" → ");
      throw new ConfigError(`${path}: class "${name}" contains itself: ${circle}`);
    }
    const parsed = parseEntries(this.#classes[name] ?? [], `policy.classes.${name}`, this.#names);
    const words = await this.#compileAll(parsed, {
      ...context,
      trail: [...context.trail, name],
      via: [...context.via, path],
    });
    return warn ? words.map((word) => ({ ...word, warn: true })) : words;
  }

  /** What is asked at RCPT knows what there is to know at RCPT. */
  #mayStand({ stages: own }: Restriction, stage: Stage): boolean {
    return own.includes(stage) || (this.#delayReject && isEarly(stage) && own.includes("rcpt"));
  }

  #traced(word: CompiledWord): CompiledWord {
    const { trace } = this.#scope;
    return trace === undefined ? word : { ...word, judge: trace(word, word.judge) };
  }

  #compileScope(entry: ParsedEntry, context: CompileContext): CompileScope {
    const { clock, addresses, checkFilter } = this.#scope;
    return {
      clock,
      addresses,
      // Who else asks a list may have transports of its own.
      ...(checkFilter === undefined || context.lenient === true ? {} : { checkFilter }),
      stage: context.stage,
      table: (spec) => this.#scope.openTable(spec),
      compile: async (nested) => {
        const depth = context.depth + 1;
        if (depth > deepest) throw new ConfigError(`restrictions name each other more than ${deepest} times over`);
        try {
          const parsed = parseEntry(nested, entry.path, this.#names).map((word) =>
            entry.warn ? { ...word, warn: true } : word,
          );
          return this.#asJudge(await this.#compileAll(parsed, { ...context, depth }));
        } catch (error) {
          // Whoever asked stands at the same place, and is named with it.
          if (!(error instanceof ConfigError) || !error.message.startsWith(`${entry.path}: `)) throw error;
          throw new ConfigError(error.message.slice(entry.path.length + 2), { cause: error });
        }
      },
    };
  }

  /** A list inside a word: what it says is the word's answer, its end is no opinion. */
  #asJudge(words: readonly CompiledWord[]): Judge {
    const { guard, note } = this.#scope;
    return (ask) => {
      const run = new ListRun(ask, undefined, noteFor(ask, note));
      return after(runWords(words, run, guard), () => answerOf(run));
    };
  }
}

function isEarly(stage: Stage): boolean {
  return stages.indexOf(stage) < stages.indexOf("relay");
}

function whereElse({ stages: own }: Restriction, stage: Stage): string {
  const allowed = own.map((name) => `"${name}"`).join(", ");
  const delayed = isEarly(stage) && own.includes("rcpt");
  return `only in ${allowed}${delayed ? "; policy.delayReject is false, so that the list is asked before RCPT" : ""}`;
}

/** A word that names words that name words; a service may go on so without end. */
const deepest = 10;

interface CompileContext {
  readonly stage: Stage;
  /** How many words the words were named by, each by the one before. */
  readonly depth: number;
  /** Words that cannot stand in the stage are left out. */
  readonly lenient?: boolean;
  /** Classes that are being unfolded, also by way of a table that names one. */
  readonly trail: readonly string[];
  /** Where each of them was named. */
  readonly via: readonly string[];
}

function answerOf(run: ListRun): Answer {
  const { verdict, effects = [], ifPermit, ifReject, authorized } = run;
  const answer = [
    ...effects,
    ...(ifPermit === undefined ? [] : [{ kind: "deferIfPermit" as const, reply: ifPermit.reply }]),
    ...(ifReject === undefined ? [] : [{ kind: "deferIfReject" as const, reply: ifReject.reply }]),
    ...(verdict === undefined ? [] : [verdict.kind === "permit" && !authorized ? plainPermit : verdict]),
  ];
  return answer.length === 0 ? undefined : answer;
}

/** Makes the sink of a run's notes; none while explaining. */
export function noteFor(ask: Ask, note: PolicyScope["note"]): ((text: string, by: Decision) => void) | undefined {
  if (note === undefined || ask.dry) return undefined;
  const { session, stage, transaction, recipient } = ask;
  return (text, by) =>
    note({ session, stage, id: transaction?.id, sender: transaction?.sender, recipient: recipient?.address, text, by });
}

function deferring(name: "defer_if_permit" | "defer_if_reject"): Judge {
  const kind = name === "defer_if_permit" ? "deferIfPermit" : "deferIfReject";
  return (ask) => {
    const { reply } = defer(rejectedText(describeSubject(ask), `${name} requested`), "4.7.0", 450);
    return { kind, reply };
  };
}

function checkJudge(judge: unknown): Judge {
  if (typeof judge !== "function") throw new InvalidAnswer("compile() gives no function");
  return judge as Judge;
}

function checkArguments({ path, name, word, args }: Extract<ParsedEntry, { kind: "word" }>): readonly unknown[] {
  const { least, most } = word.arity;
  if (args.length < least || args.length > most) {
    const wanted = least === most ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`;
    const plural = wanted === "1" ? "" : "s";
    throw new ConfigError(`${path}: "${name}" takes ${wanted} argument${plural}, not ${args.length}`);
  }
  const parsed = word.restriction.args.safeParse(args);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const which = typeof issue?.path[0] === "number" ? ` ${issue.path[0] + 1}` : "";
  throw new ConfigError(`${path}: "${name}", argument${which}: ${issue?.message ?? "is wrong"}`);
}
