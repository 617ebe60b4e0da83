/** A scanner under test: asked as the gateway does, its answers held to the contract. */
import {
  checkAnswer,
  createGuard,
  Failed,
  systemClock,
  type FailureReason,
  type Scanner,
  type Transaction,
} from "@postern/core";
import { assertSaid, formatAnswer, runCases, type Expected } from "./cases.ts";
import { sampleMessage, sampleSession, sampleTransaction, type SessionSample } from "./samples.ts";

export interface ScannerCase {
  readonly name: string;
  readonly message?: string | Uint8Array;
  readonly session?: SessionSample;
  readonly transaction?: Partial<Transaction>;
  /** Runs before the message is scanned: stops a service, moves a clock. */
  readonly before?: () => unknown;
  /** As `formatAnswer` says it; or `fails` with the reason. */
  readonly expect: Expected | { readonly fails: FailureReason };
}

/** `deadlineMs` is what each case may take; 10 s of real time. */
export async function testScanner(
  scanner: Pick<Scanner, "name" | "scan">,
  { cases, deadlineMs = 10_000 }: { readonly cases: readonly ScannerCase[]; readonly deadlineMs?: number },
): Promise<void> {
  const guard = createGuard(systemClock, () => undefined);
  const owner = { name: scanner.name, onError: "defer", deadlineMs } as const;
  await runCases(`scanner ${scanner.name}`, cases, async (given) => {
    await given.before?.();
    const controller = new AbortController();
    const message = sampleMessage(given.message);
    const question = {
      session: sampleSession(given.session),
      transaction: sampleTransaction(given.transaction),
      message,
      signal: controller.signal,
    };
    const answer = await guard.run(owner, "scan", checkAnswer, (ask: typeof question) => scanner.scan(ask), question);
    controller.abort();
    const said = answer instanceof Failed ? `fails ${answer.reason}: ${String(answer.error)}` : formatAnswer(answer);
    const { expect } = given;
    if (typeof expect === "string" || expect instanceof RegExp) assertSaid(said, expect);
    else if (!said.startsWith(`fails ${expect.fails}:`))
      throw new Error(`expected it to fail as ${expect.fails}, got ${JSON.stringify(said)}`);
  });
}
