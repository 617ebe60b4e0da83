/**
 * All engines on one message, side by side. Each has its deadline and its own failure policy; the most severe answer stands.
 * Nothing passes unscanned: what failed answers by its `onError`, and a client that is gone leaves a deferral.
 */
import { PluginError } from "../errors.ts";
import { Failed, type Guard } from "../guard/guard.ts";
import { objectionFor } from "../guard/objection.ts";
import { internalError, isPromise, type MaybePromise } from "../model/index.ts";
import { checkFinding, mergeFindings, nothingFound, type Finding, type ScanOutcome } from "./finding.ts";
import type { OwnedScanner } from "./registration.ts";
import type { ScanAsk } from "./scanner.ts";

/** The question; its `signal` is aborted when the client is gone. */
export type ScanRequest = Omit<ScanAsk, "signal"> & { readonly signal?: AbortSignal | undefined };

export interface Scanning {
  readonly scanners: readonly OwnedScanner[];
  /** The merged answer; `undefined`: nothing found. Never throws and never rejects. Without scanners it answers at once. */
  scan(request: ScanRequest): MaybePromise<ScanOutcome | undefined>;
}

const clientGone: ScanOutcome = Object.freeze({
  answer: Object.freeze({ kind: "defer", reply: internalError }),
  edits: [],
});

/** Throws `PluginError` when two scanners have one name. */
export function createScanning(scanners: readonly OwnedScanner[], guard: Guard): Scanning {
  const names = new Set<string>();
  for (const { owner, scanner } of scanners) {
    if (names.has(scanner.name)) {
      throw new PluginError(
        owner.name,
        `there is a scanner ${scanner.name} already; give one of them another name by "as"`,
      );
    }
    names.add(scanner.name);
  }
  return {
    scanners,
    scan(request) {
      if (scanners.length === 0) return undefined;
      return request.signal?.aborted === true ? clientGone : scanWithAll(scanners, request, guard);
    },
  };
}

function scanWithAll(scanners: readonly OwnedScanner[], request: ScanRequest, guard: Guard): Promise<ScanOutcome> {
  return new Promise((resolve) => {
    const { session, transaction, message, openSpool } = request;
    const check = (answer: unknown): Finding => checkFinding(answer, transaction.recipients.length);
    const running = new Set<AbortController>();
    const findings: Finding[] = [];
    let left = scanners.length;
    let over = false;

    const finish = (outcome: ScanOutcome): void => {
      over = true;
      request.signal?.removeEventListener("abort", onGone);
      for (const controller of running) controller.abort();
      resolve(outcome);
    };
    const onGone = (): void => finish(clientGone);
    request.signal?.addEventListener("abort", onGone, { once: true });

    const settle = (index: number, controller: AbortController, result: Finding | Failed): void => {
      running.delete(controller);
      if (result instanceof Failed) controller.abort(result.error); // at a deadline it still runs
      if (over) return;
      const finding = result instanceof Failed ? { ...nothingFound, objection: objectionFor(result) } : result;
      findings[index] = finding;
      left -= 1;
      if (finding.objection?.kind === "reject") finish(mergeFindings([finding]));
      else if (left === 0) finish(mergeFindings(findings));
    };

    for (const [index, { owner, scanner }] of scanners.entries()) {
      if (over) return; // an engine has refused the message without a promise
      const controller = new AbortController();
      running.add(controller);
      const { signal } = controller;
      const scan = (): unknown =>
        untilAborted(signal, scanner.scan({ session, transaction, message, openSpool, signal }));
      const result = guard.run(owner, `scanner ${scanner.name}`, check, scan);
      if (isPromise(result)) void result.then((late) => settle(index, controller, late));
      else settle(index, controller, result);
    }
  });
}

/** What an engine says after it was called off is neither awaited nor a failure. */
function untilAborted(signal: AbortSignal, answer: unknown): unknown {
  if (!isPromise(answer)) return answer;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    void answer.then(resolve, reject);
  });
}
