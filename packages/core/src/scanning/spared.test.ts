// An engine that is down is spared: its declared policy stands at once, one scan at a time sees whether it is back, and what concerns one message
// alone never counts against it.
import { createFakeClock, sampleMessage, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { ScannerFailure, type FailureReason } from "../errors.ts";
import { createGuard, failuresToOpen, type Failed, type OnError } from "../guard/index.ts";
import type { Spool } from "../message/index.ts";
import { reject } from "../model/index.ts";
import { createScanning, ownScanner, type ScanRequest, type Scanner } from "./index.ts";

const request: ScanRequest = {
  session: sampleSession(),
  transaction: sampleTransaction({ recipients: [sampleRecipient()] }),
  message: sampleMessage(),
  openSpool: () => ({}) as Spool,
};

function setUp(scan: Scanner["scan"], onError: OnError = "defer", ...others: readonly Scanner[]) {
  const clock = createFakeClock();
  const failures: Failed[] = [];
  const told: string[] = [];
  const guard = createGuard(clock, (failed) => void failures.push(failed));
  const scanner = { name: "engine", description: "", scan };
  const owned = [scanner, ...others].map((one) => ownScanner({ name: "plugin", onError }, one));
  const scanning = createScanning(owned, guard, {
    clock,
    warn: (plugin, text) => void told.push(`${plugin}: ${text}`),
  });
  const ask = async (more?: Partial<ScanRequest>) => (await scanning.scan({ ...request, ...more }))?.answer;
  return { clock, failures, told, ask, scanning, status: () => scanning.status()["engine"] };
}

const fail = (reason: FailureReason) => () => Promise.reject(new ScannerFailure(reason, "connect ECONNREFUSED /run/x"));

test("after failures in a row nobody asks; then one does, and by how that ends all do again", async () => {
  let asked = 0;
  let answer: () => Promise<undefined> = fail("down");
  const { ask, clock, told, status, failures } = setUp(() => ((asked += 1), answer()), "reject");
  for (let count = 0; count < failuresToOpen; count += 1) expect(await ask()).toMatchObject({ kind: "reject" });
  expect([asked, told, status()?.state]).toEqual([
    failuresToOpen,
    ["plugin: scanner engine: 5 failures in a row, no longer asked; next try in 1 s (connect ECONNREFUSED /run/x)"],
    "spared",
  ]);
  expect(await ask()).toMatchObject({ kind: "reject", reply: { code: 554 } });
  expect([asked, failures.at(-1)?.reason, told.length]).toEqual([failuresToOpen, "down", 1]);
  // One probe at a time, which fails; twice as long until the next.
  await clock.run(1_000);
  const hanging = Promise.withResolvers<undefined>();
  answer = () => hanging.promise;
  const probe = ask();
  expect(await ask()).toMatchObject({ kind: "reject" });
  hanging.reject(new ScannerFailure("down", "x"));
  await probe;
  expect(asked).toBe(failuresToOpen + 1);
  await clock.run(1_999);
  await ask();
  expect(asked).toBe(failuresToOpen + 1);
  await clock.run(1);
  answer = () => Promise.resolve(undefined);
  expect(await ask()).toBeUndefined();
  expect(await ask()).toBeUndefined();
  expect([asked, told[1], told.length]).toEqual([
    failuresToOpen + 3,
    "plugin: scanner engine: answers again after 3 s",
    2,
  ]);
  expect(status()).toEqual({
    plugin: "plugin",
    description: "",
    state: "asked",
    verdicts: { clean: 2 },
    failures: { down: failuresToOpen + 4 },
  });
});

test("it is spared for the reason that it failed for, so that the policy of that reason stands", async () => {
  const { ask, clock, failures } = setUp(() => new Promise(() => undefined), { timeout: "skip", down: "reject" });
  const all = Promise.all(Array.from({ length: failuresToOpen }, () => ask()));
  await clock.run(30_000);
  await all;
  expect(await ask()).toMatchObject([{ kind: "prepend", value: "engine (timeout)" }]);
  expect(failures.map(({ reason }) => reason)).toEqual(Array(failuresToOpen + 1).fill("timeout"));
  expect(clock.pending).toBe(0);
});

describe("failures of single messages", () => {
  test.each<FailureReason>(["error", "invalid", "tooLarge", "unscannable", "encrypted"])("%s", async (reason) => {
    let asked = 0;
    const { ask, status, told } = setUp(() => ((asked += 1), fail(reason)()), "skip");
    for (let count = 0; count < 3 * failuresToOpen; count += 1) await ask();
    expect([asked, status()?.state, status()?.failures, told]).toEqual([15, "asked", { [reason]: 15 }, []]);
  });

  test("one of them leaves a probe to the next message, and says nothing for either side", async () => {
    let answer = fail("down");
    const { ask, clock, status } = setUp(() => answer(), "skip");
    for (let count = 0; count < failuresToOpen; count += 1) await ask();
    await clock.run(1_000);
    answer = fail("tooLarge");
    await ask();
    expect(status()?.state).toBe("spared");
    answer = () => Promise.resolve(undefined as never);
    await ask();
    expect(status()?.state).toBe("asked");
  });
});

test("a scan that was called off counts for nothing", async () => {
  const quick: Scanner = { name: "quick", description: "", scan: async () => reject("no") };
  const slow: Scanner["scan"] = ({ signal }) =>
    new Promise((_, failed) => signal.addEventListener("abort", () => failed(new ScannerFailure("down", "gone"))));
  const { ask, status, failures, clock } = setUp(slow, "defer", quick);
  for (let count = 0; count < 2 * failuresToOpen; count += 1) expect(await ask()).toEqual(reject("no"));
  const client = new AbortController();
  const answer = ask({ signal: client.signal });
  client.abort();
  expect(await answer).toMatchObject({ kind: "defer" });
  await clock.run(0);
  expect([status()?.state, status()?.verdicts, status()?.failures, failures]).toEqual([
    "asked",
    { calledOff: 11 },
    {},
    [],
  ]);
});

describe("a mark that a message is unscanned", () => {
  const forged = sampleMessage("X-Postern-Unscanned: clamd (down)\r\nSubject: x\r\nx-postern-UNSCANNED: y\r\n\r\n");
  const removal = [{ kind: "deleteHeader", name: "X-Postern-Unscanned" }];
  const edits = async (given: ReturnType<typeof setUp>, more: Partial<ScanRequest>) =>
    (await given.scanning.scan({ ...request, ...more }))?.edits;

  test("from outside goes, whatever the scanners say; that of our own gateways stays", async () => {
    const clean = setUp(() => undefined);
    expect(await edits(clean, { message: forged })).toEqual(removal);
    expect(await edits(clean, {})).toEqual([]);
    expect(await edits(clean, { message: forged, session: sampleSession({ client: { inNetworks: true } }) })).toEqual(
      [],
    );
    const skipped = setUp(fail("down"), "skip");
    const outcome = await skipped.scanning.scan({ ...request, message: forged });
    expect(outcome).toMatchObject({ edits: removal, answer: [{ kind: "prepend", value: "engine (down)" }] });
  });
});
