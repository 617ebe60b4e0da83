/**
 * A table behind its guard: whatever is wrong inside becomes `TableUnavailable`, a late answer too, so that a caller has
 * three results to think of and no more.
 */
import { TableUnavailable } from "../errors.ts";
import { Failed, InvalidAnswer, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import { foldKey } from "./fold.ts";
import type { Located, LookupAsk, LookupTable } from "./table.ts";

export type LookupResult = "found" | "notFound" | "unavailable";

/** Told of every lookup: the `table.lookup` hook. Asked for `tapped` each time, which is all it costs untapped. */
export interface LookupObserver {
  readonly tapped: boolean;
  call(table: string, key: string, result: LookupResult): void;
}

/** Characters of a value; socketmap_max_reply_size is the same. */
const longestValue = 100_000;

/** The value, checked. An empty one is a mistake of the table, not "not found" (maps_find). */
function checkValue(answer: unknown): string | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer !== "string") throw new InvalidAnswer("a table answers with a string or undefined");
  if (answer === "") throw new InvalidAnswer("empty value; a table answers undefined for what it does not have");
  if (answer.length > longestValue) throw new InvalidAnswer(`value longer than ${longestValue} characters`);
  return answer;
}

export class GuardedTable implements LookupTable {
  readonly type: string;
  readonly name: string;
  readonly kind: "indexed" | "pattern";
  readonly trusted: boolean;
  readonly entries?: () => Iterable<Located>;
  readonly locate?: (key: string) => Located | undefined;
  readonly #inner: LookupTable;
  readonly #owner: Owner;
  readonly #guard: Guard;
  readonly #observer: LookupObserver | undefined;
  readonly #label: string;

  constructor(inner: LookupTable, owner: Owner, guard: Guard, observer: LookupObserver | undefined) {
    this.type = inner.type;
    this.name = inner.name;
    this.kind = inner.kind;
    this.trusted = inner.trusted;
    if (inner.entries !== undefined) this.entries = () => inner.entries?.() ?? [];
    if (inner.locate !== undefined) this.locate = (key) => inner.locate?.(this.#fold(key));
    this.#inner = inner;
    this.#owner = owner;
    this.#guard = guard;
    this.#observer = observer;
    this.#label = `${inner.type}:${inner.name}`;
  }

  lookup(key: string, ask?: LookupAsk): MaybePromise<string | undefined> {
    const folded = this.#fold(key);
    let answer: unknown;
    try {
      answer = this.#inner.lookup(folded, ask);
    } catch (error) {
      return this.#result(folded, this.#guard.fail(this.#owner, this.#label, error));
    }
    const settled = this.#guard.settle(this.#owner, this.#label, checkValue, answer);
    return isPromise(settled) ? settled.then((late) => this.#result(folded, late)) : this.#result(folded, settled);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #fold(key: string): string {
    return this.kind === "indexed" ? foldKey(key) : key;
  }

  #result(key: string, settled: string | undefined | Failed): string | undefined {
    const failed = settled instanceof Failed;
    if (this.#observer?.tapped === true) {
      this.#observer.call(this.#label, key, failed ? "unavailable" : settled === undefined ? "notFound" : "found");
    }
    if (!failed) return settled;
    if (settled.error instanceof TableUnavailable) throw settled.error;
    throw new TableUnavailable(this.#label, "no answer", { cause: settled.error });
  }
}
