/** A bounded queue between those who report and those who are told. What does not fit is dropped and counted. */
import { isPromise, type MaybePromise } from "../model/maybe-promise.ts";

export interface ReportQueue<Item> {
  push(item: Item): void;
  drained(): Promise<void>;
  readonly dropped: number;
}

/** Waiting reports of one hook, and reports whose taps answered with promises still open. */
const longestQueue = 10_000;
const mostInHand = 1_000;
/** Items told in one turn of the event loop, so that telling never starves the sockets. */
const perTurn = 500;

export function createReportQueue<Item>(tell: (item: Item) => MaybePromise<void>): ReportQueue<Item> {
  let waiting: Item[] = [];
  let next = 0;
  let inHand = 0;
  let dropped = 0;
  let scheduled = false;
  let idle: (() => void)[] = [];

  const left = (): number => waiting.length - next;

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(turn);
  }

  function turn(): void {
    scheduled = false;
    for (let count = 0; count < perTurn && left() > 0 && inHand < mostInHand; count += 1) {
      const item = waiting[next] as Item;
      next += 1;
      const told = tell(item);
      if (isPromise(told)) {
        inHand += 1;
        void told.then(done);
      }
    }
    if (next > longestQueue / 2 || left() === 0) {
      waiting = waiting.slice(next);
      next = 0;
    }
    if (left() > 0 && inHand < mostInHand) schedule();
    else wakeIdle();
  }

  function done(): void {
    inHand -= 1;
    if (left() > 0) schedule();
    else wakeIdle();
  }

  function wakeIdle(): void {
    if (left() > 0 || inHand > 0) return;
    const woken = idle;
    idle = [];
    for (const wake of woken) wake();
  }

  return {
    push(item) {
      if (left() >= longestQueue) {
        dropped += 1;
        return;
      }
      waiting.push(item);
      schedule();
    },
    drained: () => (left() === 0 && inHand === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve))),
    get dropped() {
      return dropped;
    },
  };
}
