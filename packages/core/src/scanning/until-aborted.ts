/** What a plugin says after it was called off is neither awaited nor a failure. */
import { isPromise } from "../model/index.ts";

export function untilAborted(signal: AbortSignal, answer: unknown): unknown {
  if (!isPromise(answer)) return answer;
  if (signal.aborted) {
    answer.then(undefined, () => undefined);
    return undefined;
  }
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    void answer.then(resolve, reject);
  });
}
