/** A scan that is called off: it must settle soon, and read no more. */
import { ScanTrial, type Question, type ScannerUnderTest } from "./scan-trial.ts";
import { spooledMessage } from "./scan-messages.ts";

/** Pieces that may have been asked for already. */
const mostReadAfter = 4;

/** Large enough that nobody has it all in a buffer. */
function makeContent(): Buffer {
  const line = "All work and no play makes Jack a dull boy, and a scan of this takes its time.\r\n";
  return Buffer.from(`From: sender@example.net\r\nSubject: large\r\n\r\n${line.repeat(50_000)}`);
}

type Moment = "before it begins" | "at once" | "after the second piece";
const moments: readonly Moment[] = ["before it begins", "at once", "after the second piece"];

/** What went wrong, in words; empty when nothing did. */
export async function tryCancellation(
  scanner: ScannerUnderTest,
  trial: ScanTrial,
  { session, transaction }: Question,
  withinMs: number,
): Promise<readonly string[]> {
  const content = makeContent();
  const wrong: string[] = [];
  for (const moment of moments) {
    const fault = await callOff(moment);
    if (fault !== undefined) wrong.push(`called off ${moment}, ${fault}`);
  }
  if (scanner.begin !== undefined && !(await endsWithIntake())) {
    wrong.push(`called off with its intake, it has not settled within ${withinMs} ms`);
  }
  return wrong;

  async function endsWithIntake(): Promise<boolean> {
    const controller = new AbortController();
    const { signal } = controller;
    const intake = await trial.take({ session, transaction, signal }, [content]);
    const message = await spooledMessage(content);
    const answer = settle(() => scanner.scan(trial.ask({ session, transaction, message }, signal, intake)));
    controller.abort(new Error("the client is gone"));
    return isSettledWithin(answer, withinMs);
  }

  async function callOff(moment: Moment): Promise<string | undefined> {
    const controller = new AbortController();
    const aborted = Promise.withResolvers<void>();
    controller.signal.addEventListener("abort", () => aborted.resolve());
    let read = 0;
    let readBefore = 0;
    const abort = (): void => {
      readBefore = read;
      controller.abort(new Error("the client is gone"));
    };
    const message = await spooledMessage(content, () => {
      read += 1;
      if (moment === "after the second piece" && read === 2) abort();
    });
    if (moment === "before it begins") abort();
    const answer = settle(() => scanner.scan(trial.ask({ session, transaction, message }, controller.signal)));
    if (moment === "at once") abort();
    // It may answer without having read so much.
    await Promise.race([answer, aborted.promise]);
    if (!(await isSettledWithin(answer, withinMs))) return `it has not settled within ${withinMs} ms`;
    const more = read - readBefore;
    if (controller.signal.aborted && more > mostReadAfter) return `it read on: ${more} pieces of 64 KiB`;
    return undefined;
  }
}

/** How it ends does not matter. */
async function settle(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch {
    // a failure is as good as an answer
  }
}

async function isSettledWithin(answer: Promise<void>, withinMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<false>();
  const handle = setTimeout(() => timer.resolve(false), withinMs);
  try {
    return await Promise.race([answer.then(() => true as const), timer.promise]);
  } finally {
    clearTimeout(handle);
  }
}
