/**
 * A table behind its guard: whatever is wrong inside becomes `TableUnavailable`, a late answer too, so that a caller has
 * three results to think of and no more. What is in memory pays a branch for it; the rest is in `backend.ts`.
 */
import { TableUnavailable } from "../errors.ts";
import { Breaker } from "../guard/breaker.ts";
import { Failed, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import type { Clock } from "../model/clock.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { AnswerCache } from "./answer-cache.ts";
import { Backend } from "./backend.ts";
import { foldKey } from "./fold.ts";
import { checkAnswer, isSound, unavailable } from "./table-answer.ts";
import type { TableCare } from "./table-object.ts";
import type { Located, LookupAsk, LookupTable } from "./table.ts";

export type LookupResult = "found" | "notFound" | "unavailable";

/** Told of every lookup: the `table.lookup` hook. Asked for `tapped` each time, which is all it costs untapped. */
export interface LookupObserver {
  readonly tapped: boolean;
  call(table: string, key: string, result: LookupResult): void;
}

export interface GuardedTableParts {
  /** With the table's own deadline when it has one. */
  readonly owner: Owner;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
  readonly observer: LookupObserver | undefined;
  readonly care: TableCare;
  /** It only asks other tables: their failures are reported and counted where they happen. */
  readonly composed: boolean;
}

export class GuardedTable implements LookupTable {
  readonly type: string;
  readonly name: string;
  readonly kind: "indexed" | "pattern";
  readonly trusted: boolean;
  readonly entries?: () => Iterable<Located>;
  readonly locate?: (key: string) => Located | undefined;
  readonly #inner: LookupTable;
  readonly #parts: GuardedTableParts;
  readonly #observer: LookupObserver | undefined;
  readonly #label: string;
  readonly #folds: boolean;
  readonly #cache: AnswerCache | undefined;
  /** From the first answer that comes later than the question, or at once with a cache. */
  #backend: Backend | undefined;

  constructor(inner: LookupTable, parts: GuardedTableParts) {
    this.type = inner.type;
    this.name = inner.name;
    this.kind = inner.kind;
    this.trusted = inner.trusted;
    const entries = () => inner.entries?.() ?? [];
    if (inner.entries !== undefined) this.entries = entries;
    const locate = (key: string) => inner.locate?.(this.#folds ? foldKey(key) : key);
    if (inner.locate !== undefined) this.locate = locate;
    this.#inner = inner;
    this.#parts = parts;
    this.#observer = parts.observer;
    this.#label = inner.name === "" ? inner.type : `${inner.type}:${inner.name}`;
    this.#folds = inner.kind === "indexed";
    this.#cache = parts.care.cache === undefined ? undefined : new AnswerCache(parts.care.cache);
    if (this.#cache !== undefined) this.#backend = this.#createBackend();
  }

  lookup(key: string, ask?: LookupAsk): MaybePromise<string | undefined> {
    const folded = this.#folds ? foldKey(key) : key;
    if (this.#observer?.tapped === true) return this.#observed(this.#observer, folded, ask);
    return this.#find(folded, ask);
  }

  close(): Promise<void> {
    this.#cache?.clear();
    return this.#inner.close();
  }

  #find(key: string, ask: LookupAsk | undefined): MaybePromise<string | undefined> {
    if (this.#backend !== undefined) return this.#backend.lookup(key, ask);
    if (ask?.signal !== undefined && !this.#parts.composed)
      return (this.#backend = this.#createBackend()).lookup(key, ask);
    const { owner, guard, composed } = this.#parts;
    let answer: unknown;
    let late: boolean;
    try {
      answer = this.#inner.lookup(key, ask);
      if (isSound(answer)) return answer;
      late = isPromise(answer);
    } catch (error) {
      if (composed && error instanceof TableUnavailable) throw error;
      throw unavailable(this.#label, guard.fail(owner, this.#label, error));
    }
    if (!late) throw unavailable(this.#label, guard.settle(owner, this.#label, checkAnswer, answer) as Failed);
    if (composed) return this.#composedAnswer(answer as Promise<unknown>);
    this.#backend = this.#createBackend();
    return this.#backend.follow(key, answer);
  }

  async #composedAnswer(answer: PromiseLike<unknown>): Promise<string | undefined> {
    const { owner, guard } = this.#parts;
    const told = answer.then(undefined, (error: unknown) => {
      if (error instanceof TableUnavailable) return error;
      throw error;
    });
    const check = (raw: unknown) => (raw instanceof TableUnavailable ? raw : checkAnswer(raw));
    const settled = await guard.settle(owner, this.#label, check, told);
    if (settled instanceof TableUnavailable) throw settled;
    if (settled instanceof Failed) throw unavailable(this.#label, settled);
    return settled;
  }

  #observed(observer: LookupObserver, key: string, ask: LookupAsk | undefined): MaybePromise<string | undefined> {
    const told = (value: string | undefined) => {
      observer.call(this.#label, key, value === undefined ? "notFound" : "found");
      return value;
    };
    const failed = (error: unknown): never => {
      observer.call(this.#label, key, "unavailable");
      throw error;
    };
    try {
      const answer = this.#find(key, ask);
      return isPromise(answer) ? answer.then(told, failed) : told(answer);
    } catch (error) {
      return failed(error);
    }
  }

  #createBackend(): Backend {
    const { owner, guard, clock, warn, composed } = this.#parts;
    return new Backend({
      inner: this.#inner,
      label: this.#label,
      owner,
      guard,
      clock,
      warn,
      cache: this.#cache,
      breaker: composed ? undefined : new Breaker(),
    });
  }
}
