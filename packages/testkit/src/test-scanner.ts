/**
 * A scanner under test: asked as the gateway does, its answers held to the contract. Beside its cases it is tried with messages in files, with
 * content on its way in, with many scans at once, with scans that are called off, and for what it leaves open.
 */
import { isPromise, PosternError, type FailureReason, type Transaction } from "@postern/core";
import { assertSaid, runCases, type Expected } from "./cases.ts";
import { watchHandles } from "./open-handles.ts";
import { sampleMessage, sampleRecipient, sampleSession, sampleTransaction, type SessionSample } from "./samples.ts";
import { tryCancellation } from "./scan-cancellation.ts";
import { spooledMessage } from "./scan-messages.ts";
import { ScanTrial, textOf, type Question, type ScannerUnderTest } from "./scan-trial.ts";

export type { ScannerUnderTest } from "./scan-trial.ts";

export interface ScannerCase {
  readonly name: string;
  readonly message?: string | Uint8Array;
  readonly session?: SessionSample;
  /** One recipient unless given. */
  readonly transaction?: Partial<Transaction>;
  /** Runs before the message is scanned: stops a service, moves a clock. Such a case is scanned once. */
  readonly before?: () => unknown;
  /** As `formatScanAnswer` says it; or `fails` with the reason. */
  readonly expect: Expected | { readonly fails: FailureReason };
}

export interface ScannerTest {
  /** Those before the first one with `before` serve for everything else, too: begin with what is found and what is not. */
  readonly cases: readonly ScannerCase[];
  /** What each scan may take; 10 s of real time. */
  readonly deadlineMs?: number;
  /** Reasons that it can fail for: each needs a case that provokes it. */
  readonly reasons?: readonly FailureReason[];
  /** Within which it must settle when it is called off; 1 s. */
  readonly cancelMs?: number;
  /** Scans at once; 20. */
  readonly atOnce?: number;
  /** Ends the engine, such as a plugin's own `close`: after it not even an idle connection may be left. */
  readonly close?: () => unknown;
}

/** For what it left open to go. */
const closingMs = 1000;
/** A message is given to `begin` octet by octet up to this size. */
const mostOctets = 2048;

interface Lead {
  readonly given: ScannerCase;
  readonly question: Question;
  readonly content: Buffer;
}

/** Throws one error that lists what went wrong. */
export async function testScanner(scanner: ScannerUnderTest, test: ScannerTest): Promise<void> {
  const { cases, deadlineMs = 10_000, cancelMs = 1000, atOnce = 20 } = test;
  const trial = new ScanTrial(scanner, deadlineMs);
  const handles = watchHandles();
  const first = cases.findIndex(({ before }) => before !== undefined);
  const leading = (first < 0 ? cases : cases.slice(0, first)).map(readCase);
  // Waiting for a deadline once is enough.
  const quick = leading.filter(({ given }) => reasonOf(given) !== "timeout");
  const answering = leading.filter(({ given }) => reasonOf(given) === undefined);

  const scan = ({ given, question }: Lead) => trial.scan(question).then((said) => assertAnswer(given, said));
  const trials: Trial[] = leading.map((lead) => [lead.given.name, () => scan(lead)]);
  for (const lead of quick) {
    const { name } = lead.given;
    trials.push([`${name}, from a file`, () => scanSpooled(trial, lead)]);
    trials.push([`${name}, from a file that cannot be read`, () => scanUnreadable(trial, lead)]);
    if (scanner.begin !== undefined) trials.push([`${name}, on its way in`, () => scanOnItsWay(trial, lead)]);
  }
  if (answering.length > 0) {
    trials.push([`${atOnce} at once`, () => scanAtOnce(trial, answering, atOnce)]);
    trials.push(["called off", () => callOff(scanner, trial, answering[0] as Lead, cancelMs)]);
    if (scanner.begin !== undefined) trials.push(["begun and given up", () => giveUp(scanner, answering[0] as Lead)]);
  }
  if (first >= 0) {
    for (const given of cases.slice(first)) {
      trials.push([
        given.name,
        async () => {
          await given.before?.();
          await scan(readCase(given));
        },
      ]);
    }
  }
  trials.push(["reasons", () => assertProvoked(test)]);
  trials.push([
    "what it leaves open",
    async () => {
      await test.close?.();
      const left = await handles.left(closingMs, test.close !== undefined);
      if (left.length > 0) {
        const hint = test.close === undefined ? '; what it keeps on purpose is closed by "close"' : "";
        throw new Error(`${left.join(", ")}${hint}`);
      }
    },
  ]);
  try {
    const named = trials.map(([name, run]) => ({ name, run }));
    await runCases(`scanner ${scanner.name}`, named, ({ run }) => run());
  } finally {
    handles.end();
  }
}

type Trial = readonly [name: string, run: () => Promise<void>];

function readCase(given: ScannerCase): Lead {
  const message = sampleMessage(given.message);
  const transaction = sampleTransaction({ recipients: [sampleRecipient()], ...given.transaction });
  const question = { session: sampleSession(given.session), transaction, message };
  return { given, question, content: Buffer.concat(message.raw.chunks ?? []) };
}

/** What it is to fail for, if it is. */
function reasonOf({ expect }: ScannerCase): FailureReason | undefined {
  return typeof expect === "string" || expect instanceof RegExp ? undefined : expect.fails;
}

function assertAnswer({ expect }: ScannerCase, said: string): void {
  if (typeof expect === "string" || expect instanceof RegExp) assertSaid(said, expect);
  else if (!said.startsWith(`fails ${expect.fails}:`)) {
    throw new Error(`expected it to fail as ${expect.fails}, got ${JSON.stringify(said)}`);
  }
}

/** A message that is not in memory has no `chunks`: it must be read. */
async function scanSpooled(trial: ScanTrial, { given, question, content }: Lead): Promise<void> {
  const message = await spooledMessage(content);
  assertAnswer(given, await trial.scan({ ...question, message }));
}

/** Whoever asked for octets and did not get them has not looked at the message. */
async function scanUnreadable(trial: ScanTrial, { question, content }: Lead): Promise<void> {
  for (const last of [1, 2, 16]) {
    let read = 0;
    const message = await spooledMessage(content, () => {
      read += 1;
      if (read >= last) throw new PosternError("STORE_UNAVAILABLE", "the file cannot be read");
    });
    const said = await trial.scan({ ...question, message });
    if (read >= last && (said === "none" || said === "permit")) {
      throw new Error(`it said ${JSON.stringify(said)}, and could not read its piece ${last}`);
    }
  }
}

/** However it was cut, what came by `begin` must give the answer that `scan` gives alone. */
async function scanOnItsWay(trial: ScanTrial, { given, question, content }: Lead): Promise<void> {
  const octets = Array.from({ length: Math.min(content.length, mostOctets) }, (_, at) => content.subarray(at, at + 1));
  const ways: Readonly<Record<string, readonly Buffer[]>> = {
    "in one piece": [content],
    "octet by octet": [...octets, content.subarray(octets.length)],
    "in uneven pieces": unevenPieces(content),
  };
  for (const [way, parts] of Object.entries(ways)) {
    try {
      assertAnswer(
        given,
        await trial.scan(
          question,
          parts.filter(({ length }) => length > 0),
        ),
      );
    } catch (error) {
      throw new Error(`${way}: ${textOf(error)}`, { cause: error });
    }
  }
}

/** By a fixed rule, so that a failure comes again. */
function unevenPieces(content: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let seed = 1;
  for (let at = 0; at < content.length;) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    const length = 1 + ((seed >>> 16) % Math.max(1, Math.ceil(content.length / 8)));
    pieces.push(content.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Nobody gets another's answer. */
async function scanAtOnce(trial: ScanTrial, leads: readonly Lead[], count: number): Promise<void> {
  const all = Array.from({ length: count }, (_, index) => leads[index % leads.length] as Lead);
  await Promise.all(
    all.map(async ({ given, question }) => {
      try {
        assertAnswer(given, await trial.scan(question));
      } catch (error) {
        throw new Error(`${given.name}: ${textOf(error)}`, { cause: error });
      }
    }),
  );
}

async function callOff(
  scanner: ScannerUnderTest,
  trial: ScanTrial,
  { question }: Lead,
  withinMs: number,
): Promise<void> {
  const wrong = await tryCancellation(scanner, trial, question, withinMs);
  if (wrong.length > 0) throw new Error(wrong.join("; "));
}

/** The client goes in the middle: nobody will ask. What is left open of it is seen at the end. */
async function giveUp(scanner: ScannerUnderTest, { question, content }: Lead): Promise<void> {
  const { session, transaction } = question;
  const controller = new AbortController();
  const intake = scanner.begin?.({ session, transaction, signal: controller.signal });
  const waiting = intake?.write(content.subarray(0, Math.ceil(content.length / 2)));
  // It may have failed because it was called off.
  if (isPromise(waiting)) waiting.then(undefined, () => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error("the client is gone"));
}

async function assertProvoked({ reasons = [], cases }: ScannerTest): Promise<void> {
  const missing = reasons.filter((reason) => !cases.some((given) => reasonOf(given) === reason));
  if (missing.length > 0) throw new Error(`no case provokes ${missing.join(", ")}`);
}
