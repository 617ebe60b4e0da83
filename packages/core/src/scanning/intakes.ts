/**
 * Content on its way in, for the engines that begin before it is complete. Whatever an intake does, the session goes on: what throws,
 * or keeps us waiting for more than a second in all, gets nothing more, and its engine reads the message afterwards.
 */
import { Failed, InvalidAnswer } from "../guard/guard.ts";
import type { Timer } from "../model/clock.ts";
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";
import type { Session, Transaction } from "../model/index.ts";
import type { Engine, EngineParts } from "./engine.ts";
import type { ScanIntake } from "./scanner.ts";
import { untilAborted } from "./until-aborted.ts";

/** For which an intake may hold the client back, in all. */
const mostWaitMs = 1000;
/** In place of an error made anew each time. */
const over = Object.freeze(new Error("the transaction is over"));

/** An intake that has all of the content, and the controller of the signal that it was given. */
export interface BegunScan {
  readonly intake: ScanIntake;
  readonly controller: AbortController;
}

interface Open extends BegunScan {
  readonly engine: Engine;
  readonly deadline: Timer;
  leftMs: number;
}

/** Those of one message. */
export class Intakes {
  readonly #engines: readonly Engine[];
  readonly #ask: { readonly session: Session; readonly transaction: Transaction };
  readonly #parts: Pick<EngineParts, "guard" | "clock">;
  /** `undefined` before the first octets. */
  #open: readonly Open[] | undefined;

  constructor(
    engines: readonly Engine[],
    ask: { readonly session: Session; readonly transaction: Transaction },
    parts: Pick<EngineParts, "guard" | "clock">,
  ) {
    this.#engines = engines;
    this.#ask = ask;
    this.#parts = parts;
  }

  /** The next octets. A promise asks to wait before more of them; it never rejects. */
  write(part: Buffer): MaybePromise<unknown> {
    const open = (this.#open ??= this.#begin());
    let waiting: Promise<unknown>[] | undefined;
    for (const one of open) {
      const asked = this.#give(one, part);
      if (asked !== undefined) (waiting ??= []).push(asked);
    }
    return waiting === undefined ? undefined : Promise.all(waiting);
  }

  /** What an engine has of the message; from here on its controller is the caller's. */
  take(engine: Engine): BegunScan | undefined {
    const taken = this.#open?.find((one) => one.engine === engine);
    if (taken === undefined) return undefined;
    this.#remove(taken);
    taken.deadline.cancel();
    return taken;
  }

  /** There will be no scan: the engines let go. */
  abort(): void {
    const open = this.#open;
    this.#open = [];
    for (const one of open ?? []) end(one, over);
  }

  #begin(): Open[] {
    const { guard, clock } = this.#parts;
    const open: Open[] = [];
    for (const engine of this.#engines) {
      const { scanner, owner } = engine;
      if (engine.isSpared) continue;
      const controller = new AbortController();
      const asked = { ...this.#ask, signal: controller.signal };
      let intake: ScanIntake | undefined;
      try {
        intake = scanner.begin?.(asked);
        if (intake === undefined) continue;
        if (typeof intake?.write !== "function") {
          throw new InvalidAnswer("begin gave no intake");
        }
      } catch (error) {
        controller.abort(over);
        guard.fail(owner, `${engine.point} intake`, error);
        continue;
      }
      const one: Open = {
        engine,
        intake,
        controller,
        leftMs: mostWaitMs,
        // A client that takes its time must not hold an engine's place.
        deadline: clock.setTimer(() => this.#drop(one, over), owner.deadlineMs),
      };
      open.push(one);
    }
    return open;
  }

  #give(one: Open, part: Buffer): Promise<unknown> | undefined {
    const { engine, intake, controller } = one;
    const { guard, clock } = this.#parts;
    const point = `${engine.point} intake`;
    let answer: unknown;
    try {
      answer = intake.write(part);
      if (!isPromise(answer)) return undefined;
      answer = untilAborted(controller.signal, answer);
    } catch (error) {
      this.#drop(one, error);
      guard.fail(engine.owner, point, error);
      return undefined;
    }
    const since = clock.monotonic();
    const limited = { ...engine.owner, deadlineMs: one.leftMs };
    const settled = guard.settle(limited, point, () => undefined, answer);
    if (!isPromise(settled)) return undefined;
    return settled.then((late) => {
      one.leftMs -= clock.monotonic() - since;
      if (late instanceof Failed) this.#drop(one, late.error);
      else if (one.leftMs <= 0) this.#drop(one, over);
    });
  }

  #drop(one: Open, error: unknown): void {
    if (this.#open?.includes(one) !== true) return;
    this.#remove(one);
    end(one, error);
  }

  /** The list is made anew: it may be gone through just now. */
  #remove(one: Open): void {
    this.#open = this.#open?.filter((other) => other !== one);
  }
}

function end({ deadline, controller }: Open, error: unknown): void {
  deadline.cancel();
  controller.abort(error);
}
