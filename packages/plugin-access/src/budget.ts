/** The time that one word has for all its questions to DNS. A question that would take longer has no answer. */
import { DnsUnavailable, type Clock } from "@postern/core";

export interface Budget {
  /** Throws `DnsUnavailable` when the answer does not come in time, and what `question` throws. */
  ask<T>(question: () => Promise<T>): Promise<T>;
}

export function createBudget({ clock, dnsBudgetMs }: { readonly clock: Clock; readonly dnsBudgetMs: number }): Budget {
  const until = clock.monotonic() + dnsBudgetMs;
  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const left = until - clock.monotonic();
        if (left <= 0) throw new DnsUnavailable("no time is left for the question");
        const timer = clock.setTimer(() => reject(new DnsUnavailable(`no answer within ${dnsBudgetMs} ms`)), left);
        const answer = question();
        answer.then(resolve, reject).finally(() => timer.cancel());
      }),
  };
}

/** `undefined` in place of an answer that could not be had. Other failures stay what they are. */
export async function orUnavailable<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof DnsUnavailable) return undefined;
    throw error;
  }
}
