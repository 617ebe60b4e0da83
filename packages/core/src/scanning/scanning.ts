/**
 * All engines on one message, side by side. Each has its deadline and its own failure policy; the most severe answer stands.
 * Nothing passes unscanned: what failed answers by its `onError`, and a client that is gone leaves a deferral.
 */
import { PluginError } from "../errors.ts";
import { factsOf, Failed, type Guard } from "../guard/guard.ts";
import {
  internalError,
  isPromise,
  systemClock,
  type MaybePromise,
  type Session,
  type Transaction,
} from "../model/index.ts";
import { Engine, type EngineParts, type ScannerStatus } from "./engine.ts";
import { checkFinding, lostChanges, mergeFindings, nothingFound, type Finding, type ScanOutcome } from "./finding.ts";
import { Intakes } from "./intakes.ts";
import type { OwnedScanner } from "./registration.ts";
import type { ScanAsk } from "./scanner.ts";
import { findingFor, foreignMarks } from "./unscanned.ts";
import { untilAborted } from "./until-aborted.ts";

/** The question; its `signal` is aborted when the client is gone. */
export type ScanRequest = Omit<ScanAsk, "signal" | "intake"> & {
  readonly signal?: AbortSignal | undefined;
  /** What was given the content on its way in, all of it. */
  readonly intakes?: Intakes | undefined;
  /** Only those are asked that talk to no service. */
  readonly withoutServices?: boolean;
};

export interface Scanning {
  readonly scanners: readonly OwnedScanner[];
  /** The merged answer; `undefined`: nothing found. Never throws and never rejects. Without scanners it answers at once. */
  scan(request: ScanRequest): MaybePromise<ScanOutcome | undefined>;
  /** For the content of one message. `undefined`: no engine wants it before it is complete. */
  readonly begin: ((session: Session, transaction: Transaction) => Intakes) | undefined;
  /** By the scanner's name. */
  status(): Readonly<Record<string, ScannerStatus>>;
}

const clientGone: ScanOutcome = Object.freeze({
  answer: Object.freeze({ kind: "defer", reply: internalError }),
  edits: [],
});
/** Why a signal is aborted when an engine has answered, or is not needed any more. */
const over = Object.freeze(new Error("the scan is over"));

/** Throws `PluginError` when two scanners have one name. `warn` is told when an engine is spared, and when it is back. */
export function createScanning(
  scanners: readonly OwnedScanner[],
  guard: Guard,
  { clock = systemClock, warn = () => undefined }: Partial<Pick<EngineParts, "clock" | "warn">> = {},
): Scanning {
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
  const parts: EngineParts = { guard, clock, warn };
  const engines = scanners.map((owned) => new Engine(owned, parts));
  const early = engines.filter(({ scanner }) => scanner.begin !== undefined);
  return {
    scanners,
    scan(request) {
      const { withoutServices = false, signal } = request;
      const asked = withoutServices ? engines.filter(({ scanner }) => scanner.asksService === false) : engines;
      if (asked.length === 0) return undefined;
      if (signal?.aborted === true) return clientGone;
      return scanWithAll(asked, request, guard);
    },
    begin:
      early.length === 0 ? undefined : (session, transaction) => new Intakes(early, { session, transaction }, parts),
    status: () => Object.fromEntries(engines.map((engine) => [engine.scanner.name, engine.status()])),
  };
}

function scanWithAll(engines: readonly Engine[], request: ScanRequest, guard: Guard): Promise<ScanOutcome> {
  return new Promise((resolve) => {
    const { session, transaction, message, openSpool, intakes } = request;
    const marks = foreignMarks(message, session);
    const check = (answer: unknown): Finding => checkFinding(answer, transaction.recipients.length);
    const running = new Set<AbortController>();
    const findings: Finding[] = [];
    let left = engines.length;
    let isOver = false;

    const finish = (outcome: ScanOutcome): void => {
      isOver = true;
      request.signal?.removeEventListener("abort", onGone);
      for (const controller of running) controller.abort(over);
      intakes?.abort();
      resolve(outcome);
    };
    const onGone = (): void => finish(clientGone);
    request.signal?.addEventListener("abort", onGone, { once: true });

    const settle = (index: number, { scanner, author }: Engine, result: Finding | Failed): void => {
      const finding =
        result instanceof Failed
          ? { ...findingFor(result, scanner.name), by: { ...author, failure: factsOf(result) } }
          : { ...result, by: author };
      findings[index] = finding;
      left -= 1;
      if (finding.objection?.kind === "reject") finish(mergeFindings([finding]));
      else if (left === 0) {
        const lost = lostChanges(findings, (at) => engines[at]?.scanner.name);
        finish(mergeFindings([{ ...nothingFound, edits: marks }, ...findings, lost]));
      }
    };

    for (const [index, engine] of engines.entries()) {
      if (isOver) return; // an engine has refused the message without a promise
      const { scanner, owner, point } = engine;
      const turn = engine.ask();
      if (turn instanceof Failed) {
        settle(index, engine, turn);
        continue;
      }
      const { intake, controller } = intakes?.take(engine) ?? { intake: undefined, controller: new AbortController() };
      running.add(controller);
      const { signal } = controller;
      const ended = (result: Finding | Failed): void => {
        running.delete(controller);
        if (isOver) return engine.calledOff(turn);
        engine.ended(turn, result);
        // At a deadline it still runs; otherwise whatever it left behind is let go.
        controller.abort(result instanceof Failed ? result.error : over);
        settle(index, engine, result);
      };
      const ask: ScanAsk = { session, transaction, message, intake, openSpool, signal };
      const result = guard.run(owner, point, check, () => untilAborted(signal, scanner.scan(ask)));
      if (isPromise(result)) void result.then(ended);
      else ended(result);
    }
  });
}
