/**
 * A table that answers later, a database or a service: what stands between it and its askers. Answers kept for a while, one
 * lookup a key at a time, a breaker that spares everybody a deadline while it is down.
 */
import { TableUnavailable } from "../errors.ts";
import type { Breaker, Turn } from "../guard/breaker.ts";
import { Failed, type Guard } from "../guard/guard.ts";
import type { Owner } from "../guard/owner.ts";
import type { Clock } from "../model/clock.ts";
import { logText } from "../model/log-text.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import type { AnswerCache } from "./answer-cache.ts";
import { Flights } from "./flights.ts";
import type { LookupAsk, LookupTable } from "./table.ts";
import { checkAnswer, unavailable } from "./table-answer.ts";

export interface BackendParts {
  readonly inner: LookupTable;
  readonly label: string;
  readonly owner: Owner;
  readonly guard: Guard;
  readonly clock: Clock;
  /** Told once when the breaker opens, once when it closes. */
  readonly warn: (message: string) => void;
  readonly cache: AnswerCache | undefined;
  /** None for a table of tables: those inside have their own. */
  readonly breaker: Breaker | undefined;
}

type Answer = string | undefined;

/** In place of an answer that nobody wanted any more. */
const abandoned = Symbol("abandoned");
type Abandoned = typeof abandoned;

function checkWanted(answer: unknown): Answer | Abandoned {
  return answer === abandoned ? abandoned : checkAnswer(answer);
}

export class Backend {
  readonly #parts: BackendParts;
  readonly #flights = new Flights<Answer>();

  constructor(parts: BackendParts) {
    this.#parts = parts;
  }

  /** `key` is folded. Throws `TableUnavailable` and nothing else, by a promise or at once. */
  lookup(key: string, ask?: LookupAsk): MaybePromise<Answer> {
    const { cache, clock, inner } = this.#parts;
    const kept = cache?.get(key, clock.monotonic());
    if (kept !== undefined) return kept.value;
    const signal = ask?.signal;
    if (signal?.aborted === true) throw this.#givenUp(signal.reason);
    const joined = this.#flights.join(key, signal);
    if (joined !== undefined) return this.#waiting(joined, signal);
    const turn = this.#turn();
    const controller = signal === undefined ? undefined : new AbortController();
    let answer: unknown;
    try {
      answer = inner.lookup(key, controller === undefined ? undefined : { signal: controller.signal });
    } catch (error) {
      return this.#end(key, turn, this.#parts.guard.fail(this.#parts.owner, this.#parts.label, error));
    }
    return this.follow(key, answer, turn, signal, controller);
  }

  /** The rest of `lookup` for an answer in hand, or on its way. */
  follow(
    key: string,
    answer: unknown,
    turn: Turn = "pass",
    signal?: AbortSignal,
    controller?: AbortController,
  ): MaybePromise<Answer> {
    const { guard, owner, label } = this.#parts;
    // Who was told to end may end with an error: that is nobody's failure.
    const raw =
      controller === undefined || !isPromise(answer)
        ? answer
        : answer.catch((error: unknown) => {
            if (controller.signal.aborted) return abandoned;
            throw error;
          });
    const settled = guard.settle(owner, label, checkWanted, raw);
    if (!isPromise(settled)) return this.#end(key, turn, settled);
    const ended = settled.then((late) => {
      if (late instanceof Failed && late.reason === "timeout") controller?.abort(late.error);
      return this.#end(key, turn, late);
    });
    return this.#waiting(this.#flights.start(key, ended, signal, controller), signal);
  }

  #turn(): Turn {
    const { breaker, clock, label } = this.#parts;
    if (breaker === undefined) return "pass";
    const now = clock.monotonic();
    const turn = breaker.ask(now);
    if (turn !== "refuse") return turn;
    const waitMs = breaker.waitMs(now);
    const when = waitMs === 0 ? "it is being tried" : `next try in ${Math.ceil(waitMs / 1000)} s`;
    throw new TableUnavailable(label, `not asked after ${breaker.failures} failures in a row; ${when}`);
  }

  #end(key: string, turn: Turn, settled: Answer | Failed | Abandoned): Answer {
    const { breaker, cache, clock, label } = this.#parts;
    if (settled === abandoned) {
      breaker?.abandoned(turn);
      throw this.#givenUp(undefined);
    }
    const now = clock.monotonic();
    if (!(settled instanceof Failed)) {
      this.#lives(now);
      cache?.set(key, settled, now);
      return settled;
    }
    const error = unavailable(label, settled);
    // An answer that breaks the contract, or none for this key, came from somebody who lives.
    if (error.onlyThisKey || settled.reason === "invalid") this.#lives(now);
    else if (breaker?.failed(turn, now) === true) this.#tellOpened(settled, now);
    throw error;
  }

  #lives(nowMs: number): void {
    const openMs = this.#parts.breaker?.succeeded(nowMs);
    if (openMs === undefined) return;
    this.#parts.warn(`table ${this.#parts.label}: answers again after ${Math.round(openMs / 1000)} s`);
  }

  #tellOpened({ error }: Failed, nowMs: number): void {
    const { breaker, label, warn } = this.#parts;
    const seconds = Math.ceil((breaker?.waitMs(nowMs) ?? 0) / 1000);
    const why = logText(error instanceof Error ? error.message : error, 300);
    warn(`table ${label}: ${breaker?.failures} failures in a row, no longer asked; next try in ${seconds} s (${why})`);
  }

  #waiting(answer: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
    if (signal === undefined) return answer;
    return answer.catch((error: unknown) => {
      throw error instanceof TableUnavailable ? error : this.#givenUp(error);
    });
  }

  #givenUp(cause: unknown): TableUnavailable {
    return new TableUnavailable(this.#parts.label, "the asker gave up", { cause, onlyThisKey: true });
  }
}
