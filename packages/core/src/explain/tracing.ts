/** Hears what a generation asks while it is asked dry: words, tables, DNS and state, each under what asked for it. */
import { errorText } from "../errors.ts";
import { createGuard, type Failed, type Guard } from "../guard/index.ts";
import type { Resolver } from "../dns/index.ts";
import type { GenerationTrace } from "../generation-contract.ts";
import {
  formatReply,
  isPromise,
  logText,
  partsOf,
  type Answer,
  type Clock,
  type Effect,
  type MaybePromise,
  type Verdict,
} from "../model/index.ts";
import type { Ask, CompiledWord, Judge } from "../policy/index.ts";
import { OverlaySpace, openStateReader, type StateReader, type StateSpace, type StateValue } from "../state/index.ts";
import type { LookupTable } from "../tables/index.ts";
import type { ExplainedAnswer, ExplainedDns, ExplainedLookup, ExplainedWord } from "./explained.ts";

/** What is asked now, and what it asks itself. */
export class Frame {
  readonly tables: ExplainedLookup[] = [];
  readonly dns: ExplainedDns[] = [];
  readonly words: AskedWord[] = [];
}

/** A word while it is asked; afterwards what is told of it. */
export class AskedWord extends Frame {
  readonly word: Omit<CompiledWord, "judge">;
  /** The list that is being asked. */
  readonly list: string;
  answer: ExplainedAnswer = "failed";
  reason: string | undefined = "no answer";
  effects: readonly string[] = [];
  /** The answer itself. */
  parts: readonly (Effect | Verdict)[] = [];
  ms = 0;

  constructor(word: Omit<CompiledWord, "judge">, list: string) {
    super();
    this.word = word;
    this.list = list;
  }

  explain(): ExplainedWord {
    const { word, answer, reason, effects, ms, tables, dns } = this;
    return {
      ...describeWord(word),
      answer,
      reason,
      effects,
      ms,
      tables,
      dns,
      words: this.words.map((inner) => inner.explain()),
    };
  }
}

export function describeWord({ path, word, owner, warn, about }: Omit<CompiledWord, "judge">) {
  return { path, via: about?.via ?? [], word, args: about?.args ?? [], plugin: owner.name, warn };
}

export interface TracingOptions {
  readonly clock: Clock;
  readonly resolver: Resolver;
  /** Words that talk to services are asked too. */
  readonly live: boolean;
  /** What stores hold is read; else everything is empty. */
  readonly readState: boolean;
  /** The folder of the running gateway's own state; `undefined`: it keeps none. */
  readonly stateDirectory: string | undefined;
  readonly warn: (text: string) => void;
}

/** More lookups under one word are not told. */
const mostTold = 1000;

export class Tracing {
  readonly guard: Guard;
  readonly resolver: Resolver;
  readonly generation: GenerationTrace;
  readonly #options: TracingOptions;
  readonly #spaces = new Map<string, OverlaySpace<never>>();
  #state: StateReader | undefined;
  #open: Frame[] = [new Frame()];

  constructor(options: TracingOptions) {
    this.#options = options;
    this.#state = this.#openState();
    this.guard = createGuard(options.clock, (failed) => this.#failed(failed));
    this.resolver = this.#tracedResolver(options.resolver);
    this.generation = {
      word: (word, judge) => this.#tracedWord(word, judge),
      table: (table, label) => this.#tracedTable(table, label),
      space: (name, _options, brought) => this.#space(name, brought?.space(name)),
    };
  }

  /** From now on everything belongs to a new frame. */
  begin(): Frame {
    const frame = new Frame();
    this.#open = [frame];
    return frame;
  }

  /** What was written to state is forgotten. */
  resetState(): void {
    for (const space of this.#spaces.values()) space.reset();
  }

  close(): void {
    this.#state?.close();
    this.#state = undefined;
  }

  get #current(): Frame {
    return this.#open.at(-1) as Frame;
  }

  #openState(): StateReader | undefined {
    const { readState, stateDirectory, clock, warn } = this.#options;
    if (!readState || stateDirectory === undefined) return undefined;
    try {
      return openStateReader(stateDirectory, clock);
    } catch (error) {
      warn(`the state store cannot be read and counts as empty: ${logText((error as Error).message)}`);
      return undefined;
    }
  }

  #space<V extends StateValue>(name: string, brought: StateSpace<V> | undefined): StateSpace<V> {
    const below = this.#options.readState ? (brought ?? this.#state?.space<V>(name)) : undefined;
    const space = new OverlaySpace<V>(below, this.#options.clock);
    this.#spaces.set(name, space as unknown as OverlaySpace<never>);
    return space;
  }

  #tracedWord(word: Omit<CompiledWord, "judge">, judge: Judge): Judge {
    const { live, clock } = this.#options;
    return (ask) => {
      const asked = new AskedWord(word, ask.stage);
      const parent = this.#current;
      parent.words.push(asked);
      if (word.about?.asksService === true && !live) {
        asked.answer = "not asked";
        asked.reason = "talks to a service; --live asks it";
        return undefined;
      }
      this.#open.push(asked);
      const began = clock.monotonic();
      const end = (): void => {
        asked.ms = Math.round((clock.monotonic() - began) * 10) / 10;
        this.#open = this.#open.filter((frame) => frame !== asked);
      };
      const answered = (answer: Answer): Answer => {
        end();
        Object.assign(asked, describeAnswer(answer));
        return answer;
      };
      const failed = (error: unknown): never => {
        end();
        asked.reason = messageOf(error);
        throw error;
      };
      try {
        const answer: MaybePromise<Answer> = judge({ ...ask, dry: true } satisfies Ask);
        return isPromise(answer) ? answer.then(answered, failed) : answered(answer);
      } catch (error) {
        return failed(error);
      }
    };
  }

  /** The answer of a word came too late, or was none: its plugin's onError answers. */
  #failed({ point, error }: Failed): void {
    const asked = this.#open.findLast((frame) => frame instanceof AskedWord && frame.word.word === point);
    if (!(asked instanceof AskedWord)) return;
    asked.reason = messageOf(error);
    this.#open = this.#open.slice(0, this.#open.indexOf(asked));
  }

  #tracedTable(table: LookupTable, label: string): LookupTable {
    const lookup = (...args: Parameters<LookupTable["lookup"]>): MaybePromise<string | undefined> => {
      const [key] = args;
      const { tables } = this.#current;
      const told = (value: string | undefined): string | undefined => {
        if (tables.length >= mostTold) return value;
        if (value === undefined) tables.push({ table: label, key, result: "not found" });
        else tables.push({ table: label, key, result: "found", value, ...placeOf(table, key) });
        return value;
      };
      const failed = (error: unknown): never => {
        tables.push({ table: label, key, result: "unavailable", value: messageOf(error) });
        throw error;
      };
      try {
        const value = table.lookup(...args);
        return isPromise(value) ? value.then(told, failed) : told(value);
      } catch (error) {
        return failed(error);
      }
    };
    return replaceCalls(table, (name) => (name === "lookup" ? (lookup as AnyCall) : undefined));
  }

  #tracedResolver(resolver: Resolver): Resolver {
    return replaceCalls(resolver, (name, call) => async (...args: unknown[]) => {
      const { clock } = this.#options;
      const { dns } = this.#current;
      const began = clock.monotonic();
      const question = () => ({
        type: name,
        name: String(args[0]),
        ms: Math.round((clock.monotonic() - began) * 10) / 10,
      });
      try {
        const answers: unknown = await call(...args);
        if (dns.length < mostTold) dns.push({ ...question(), answers: describeRecords(answers) });
        return answers;
      } catch (error) {
        dns.push({ ...question(), answers: [], error: messageOf(error) });
        throw error;
      }
    });
  }
}

type AnyCall = (...args: unknown[]) => unknown;

/** The same object with other functions; private fields stay with the old one. */
function replaceCalls<T extends object>(target: T, replace: (name: string, call: AnyCall) => AnyCall | undefined): T {
  // Frozen objects insist on their own functions: the proxy is of nothing.
  return new Proxy(Object.create(null) as T, {
    has: (_, name) => Reflect.has(target, name),
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call: AnyCall = (...args) => Reflect.apply(value as AnyCall, target, args);
      return typeof name === "string" ? (replace(name, call) ?? call) : call;
    },
  });
}

function placeOf(table: LookupTable, key: string): { file?: string; line?: number } {
  try {
    const { file, line } = table.locate?.(key) ?? {};
    return { ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
  } catch {
    return {};
  }
}

function describeAnswer(answer: Answer): Pick<AskedWord, "answer" | "reason" | "effects" | "parts"> {
  const parts = partsOf(answer);
  const verdict = parts.find((part) => part.kind === "permit" || part.kind === "reject" || part.kind === "defer");
  const effects = parts.filter((part) => part !== verdict).map((part) => describeEffect(part as Effect));
  if (verdict === undefined) {
    return { answer: effects.length === 0 ? "none" : "effects", reason: undefined, effects, parts };
  }
  return {
    answer: verdict.kind,
    reason: verdict.kind === "permit" ? undefined : logText(formatReply(verdict.reply)),
    effects,
    parts,
  };
}

export function describeEffect({ kind, ...rest }: Effect): string {
  const texts = Object.entries(rest).map(([name, value]) =>
    name === "reply" ? formatReply(value as never) : typeof value === "string" ? value : JSON.stringify(value),
  );
  const text = kind === "prepend" ? texts.join(": ") : texts.join(" ");
  return logText(text === "" ? kind : `${kind} ${text}`);
}

function describeRecords(answers: unknown): readonly string[] {
  if (!Array.isArray(answers)) return [typeof answers === "string" ? answers : JSON.stringify(answers)];
  return answers.map((answer: unknown) => {
    if (typeof answer === "string") return answer;
    const { exchange, priority } = answer as { exchange?: unknown; priority?: unknown };
    return typeof exchange === "string" ? `${String(priority)} ${exchange}` : JSON.stringify(answer);
  });
}

function messageOf(error: unknown): string {
  return logText(errorText(error));
}
