import { createFakeClock, sampleMessage, sampleRecipient, sampleSession, sampleTransaction } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { PluginError, ScannerFailure, type FailureReason } from "../errors.ts";
import { createGuard, type Failed, type OnError } from "../guard/index.ts";
import type { Edit, Spool } from "../message/index.ts";
import { defer, isPromise, permit, reject, type Answer, type Effect, type RecipientAnswer } from "../model/index.ts";
import { createScanning, ownScanner, type ScanAsk, type Scanner, type ScanRequest } from "./index.ts";

const question: ScanRequest = {
  session: sampleSession(),
  transaction: sampleTransaction({ recipients: [sampleRecipient("a@x.test"), sampleRecipient("b@x.test")] }),
  message: sampleMessage(),
  openSpool: () => ({}) as Spool,
};

type Engine = Scanner["scan"];

function setUp(engines: Readonly<Record<string, Engine>>, onError: OnError = "defer") {
  const clock = createFakeClock();
  const failures: Failed[] = [];
  const guard = createGuard(clock, (failed) => void failures.push(failed));
  const scanners = Object.entries(engines).map(([name, scan]) =>
    ownScanner({ name: `plugin-${name}`, onError }, { name, description: "", scan }),
  );
  const told: string[] = [];
  const warn = (plugin: string, text: string): void => void told.push(`${plugin}: ${text}`);
  const scanning = createScanning(scanners, guard, { clock, warn });
  const answer = async (request: ScanRequest = question) => (await scanning.scan(request))?.answer;
  return { clock, failures, told, scanning, answer, scan: (request: ScanRequest = question) => scanning.scan(request) };
}

const hang: Engine = () => new Promise(() => undefined);
/** An engine that works until it is called off, and then throws as a socket does. */
function patient(asked: ScanAsk[]): Engine {
  return (ask) => {
    asked.push(ask);
    return new Promise((_, fail) => {
      ask.signal.addEventListener("abort", () => fail(new Error("aborted")));
    });
  };
}

test("without scanners the answer is there at once", () => {
  expect(setUp({}).scan(question)).toBeUndefined();
});

const log = (text: string): Effect => ({ kind: "log", text });
const authorOf = (name: string) => ({ scanner: name, plugin: `plugin-${name}` });
const prepend: Effect = { kind: "prepend", name: "X-Spam", value: "no" };

describe("two that change the body", () => {
  const change = (...kinds: readonly ("replaceBody" | "spliceBody" | "deleteHeader")[]): Engine => {
    const edits: Readonly<Record<(typeof kinds)[number], Edit>> = {
      replaceBody: { kind: "replaceBody", body: Buffer.from("x") },
      spliceBody: { kind: "spliceBody", start: 0, end: 1, octets: Buffer.from("y") },
      deleteHeader: { kind: "deleteHeader", name: "X-Spam" },
    };
    return () => kinds.map((kind) => ({ kind: "edit", edit: edits[kind] }));
  };
  test.each<[what: string, engines: Readonly<Record<string, Engine>>, lost: string | undefined]>([
    ["one", { one: change("deleteHeader", "replaceBody"), two: change("deleteHeader") }, undefined],
    ["pieces of it", { one: change("spliceBody"), two: change("spliceBody") }, undefined],
    ["both", { one: change("replaceBody"), two: change("replaceBody") }, "two made it; changes by one are lost"],
    [
      "one of them pieces",
      { one: change("replaceBody"), two: change("spliceBody"), three: change("spliceBody") },
      "one made it; changes by two, three are lost",
    ],
  ])("%s", async (_, engines, lost) => {
    // Of several together: nobody's in particular.
    const notes = lost === undefined ? [] : [{ text: `warn: the body is as ${lost}`, by: undefined }];
    expect(await setUp(engines).scan()).toMatchObject({ answer: undefined, notes });
  });
});

describe("the most severe answer stands", () => {
  test.each<[what: string, answers: readonly Answer[], expected: Answer]>([
    ["nothing found", [undefined, permit, []], undefined],
    ["reject over defer", [defer("later"), reject("no")], reject("no")],
    ["defer over effects", [prepend, defer("later"), log("x")], defer("later")],
    [
      "effects of all engines, in their order",
      [prepend, undefined, [log("a"), { kind: "hold" }]],
      [prepend, { kind: "hold" }],
    ],
    ["first of two deferrals", [defer("one"), defer("two")], defer("one")],
    ["an engine's own list", [[prepend, reject("no")] as Answer], reject("no")],
  ])("%s", async (_, answers, expected) => {
    const both = [(answer: Answer) => () => answer, (answer: Answer) => () => Promise.resolve(answer)];
    for (const give of both) {
      const engines = Object.fromEntries(answers.map((answer, index) => [`engine-${index}`, give(answer)]));
      const { answer, failures, clock } = setUp(engines);
      expect(await answer()).toEqual(expected);
      expect([failures, clock.pending]).toEqual([[], 0]);
    }
  });
});

describe("answers by recipient", () => {
  const answers: readonly RecipientAnswer[] = [
    undefined,
    permit,
    { kind: "quarantine", text: "doubtful" },
    { kind: "discard" },
    defer("later"),
    reject("no"),
  ];
  const each = (...given: readonly RecipientAnswer[]): Engine => {
    return () => ({ kind: "perRecipient", answers: given });
  };

  test("of several engines: for each recipient the most severe, whoever said it, the first of two alike", async () => {
    for (const [rank, one] of answers.entries()) {
      for (const [otherRank, other] of answers.entries()) {
        const { scan } = setUp({ a: each(one, other), b: each(other, one), c: () => undefined });
        const severe = otherRank > Math.max(rank, 1) ? other : one;
        const reverse = rank > Math.max(otherRank, 1) ? one : other;
        expect(await scan()).toMatchObject({ answer: undefined, recipients: [severe, reverse] });
      }
    }
  });

  test("stand beside what is said of the message, and are gone with an objection", async () => {
    const beside = setUp({ a: each(undefined, reject("no")), b: () => prepend });
    expect(await beside.scan()).toMatchObject({ answer: [prepend], recipients: [undefined, reject("no")] });
    const against = setUp({ a: each(undefined, reject("no")), b: () => defer("later") });
    expect(await against.scan()).toMatchObject({ answer: defer("later"), edits: [], by: authorOf("b") });
    expect((await against.scan())?.recipients).toBeUndefined();
  });
});

test("who objects is named, with what it says for the log, be it by a failure", async () => {
  const { scan } = setUp({ a: () => [prepend, log("of a")], b: () => [log("of b"), prepend, defer("later")] });
  expect(await scan()).toMatchObject({
    answer: defer("later"),
    edits: [],
    by: authorOf("b"),
    notes: [{ text: "of b", by: authorOf("b") }],
  });
  const failing = setUp({ a: () => defer("later"), b: () => Promise.reject(new Error("x\ny")) }, "reject");
  expect(await failing.scan()).toMatchObject({ by: { ...authorOf("b"), failure: { reason: "error", text: "x?y" } } });
});

test("what scanners that let it pass say for the log is theirs", async () => {
  const { scan } = setUp({
    a: () => [log("of a"), prepend, log("more")],
    b: () => undefined,
    c: async () => log("of c"),
  });
  expect(await scan()).toMatchObject({
    answer: [prepend],
    notes: [
      { text: "of a", by: authorOf("a") },
      { text: "more", by: authorOf("a") },
      { text: "of c", by: authorOf("c") },
    ],
  });
});

test("engines run side by side, and none waits for another", async () => {
  const order: string[] = [];
  const slow = Promise.withResolvers<undefined>();
  const { scan } = setUp({
    one: () => (order.push("one"), slow.promise),
    two: async () => void order.push("two"),
  });
  const answer = scan(question);
  expect([isPromise(answer), order]).toEqual([true, ["one", "two"]]);
  slow.resolve(undefined);
  expect(await answer).toMatchObject({ answer: undefined });
});

describe("a failure answers by its reason, is logged under its owner, and never passes as scanned", () => {
  const failing: Readonly<Record<FailureReason, Engine>> = {
    down: () => Promise.reject(new ScannerFailure("down", "connect ECONNREFUSED")),
    tooLarge: () => Promise.reject(new ScannerFailure("tooLarge", "size limit")),
    timeout: hang,
    error: () => {
      throw new Error("boom");
    },
    invalid: () => ({ kind: "tag" }) as never,
    unscannable: () => Promise.reject(new ScannerFailure("unscannable", "nested too deep")),
    encrypted: () => {
      throw new ScannerFailure("encrypted", "no password");
    },
  };
  const reasons = Object.keys(failing) as FailureReason[];
  const cases = reasons.flatMap((reason) =>
    (["defer", "reject", "quarantine", "skip"] as const).map((policy) => [reason, policy] as const),
  );
  test.each(cases)("%s: %s", async (reason, policy) => {
    const others = Object.fromEntries(reasons.filter((other) => other !== reason).map((other) => [other, "reject"]));
    const { scan, failures, clock } = setUp(
      { bad: failing[reason], good: () => undefined },
      policy === "defer" ? { ...others } : { ...others, [reason]: policy },
    );
    const answer = scan();
    await clock.run(30_000);
    const outcome = await answer;
    const expected = {
      defer: { kind: "defer", reply: { code: 451 } },
      reject: { kind: "reject", reply: { code: 554 } },
      quarantine: [{ kind: "quarantine", text: `bad gave no verdict (${reason})` }],
      skip: [{ kind: "prepend", name: "X-Postern-Unscanned", value: `bad (${reason})` }],
    };
    expect(outcome?.answer).toMatchObject(expected[policy]);
    const failed = { ...authorOf("bad"), failure: { reason } };
    const taken = { text: `info: bad gave no verdict (${reason}), taken unscanned`, by: failed };
    expect(outcome?.notes).toMatchObject(policy === "skip" ? [taken] : []);
    if (policy === "defer" || policy === "reject") expect(outcome?.by).toMatchObject(failed);
    expect(failures).toMatchObject([{ owner: { name: "plugin-bad" }, point: "scanner bad", reason }]);
    expect(clock.pending).toBe(0);
  });

  test("a failure that is skipped does not hide what another engine found", async () => {
    const { answer } = setUp({ bad: failing.down, good: () => Promise.resolve(reject("infected")) }, "skip");
    expect(await answer()).toEqual(reject("infected"));
  });

  test.each<[what: string, answer: unknown]>([
    ["null", null],
    ["a string", "clean"],
    ["an effect that there is not", { kind: "tag" }],
    ["a header without a value", { kind: "prepend", name: "X" }],
    ["a reject with a 2yz reply", { kind: "reject", reply: { code: 250, text: "ok" } }],
    ["two verdicts", [reject("no"), defer("later")]],
    ["what only a list can carry out", { kind: "deferIfPermit", reply: defer("x").reply }],
    ["a list with nonsense in it", [reject("no"), 7]],
  ])("%s is no answer", async (_, answer) => {
    const { answer: ask, failures } = setUp({ bad: () => answer as Answer });
    expect(await ask()).toMatchObject({ kind: "defer" });
    expect(failures).toMatchObject([{ reason: "invalid" }]);
  });
});

test("once a reject is known the others are called off, and that is no failure of theirs", async () => {
  const asked: ScanAsk[] = [];
  const { answer, failures, clock } = setUp({
    slow: patient(asked),
    quick: async () => reject("no"),
    after: patient(asked),
  });
  expect(await answer()).toEqual(reject("no"));
  await clock.run(60_000);
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  expect([failures, clock.pending]).toEqual([[], 0]);
});

test("a client that leaves calls off all engines", async () => {
  const asked: ScanAsk[] = [];
  const client = new AbortController();
  const { scan, failures, clock } = setUp({ one: patient(asked), deaf: hang });
  const answer = scan({ ...question, signal: client.signal });
  client.abort();
  expect(await answer).toMatchObject({ answer: { kind: "defer" } });
  expect(asked[0]?.signal.aborted).toBe(true);
  await clock.run(60_000);
  expect([failures, clock.pending]).toEqual([[], 0]);
  expect(scan({ ...question, signal: client.signal })).toMatchObject({ answer: { kind: "defer" } });
  expect(asked).toHaveLength(1);
});

test("at its deadline an engine is told to let go, while the others go on", async () => {
  const asked: ScanAsk[] = [];
  const { answer: ask, failures, clock } = setUp({ slow: patient(asked), later: async () => prepend }, "skip");
  const answer = ask();
  await clock.run(29_999);
  expect([asked[0]?.signal.aborted, failures]).toEqual([false, []]);
  await clock.run(1);
  expect(await answer).toMatchObject([{ kind: "prepend", value: "slow (timeout)" }, prepend]);
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(failures).toMatchObject([{ reason: "timeout", owner: { name: "plugin-slow" } }]);
});

describe("registration", () => {
  const scanner: Scanner = { name: "clamd", description: "", scan: () => undefined };
  test.each<[what: string, register: () => unknown, message: RegExp]>([
    ["no onError anywhere", () => ownScanner({ name: "av" }, scanner), /plugin av: "onError" is missing/],
    [
      "an unknown policy for one reason",
      () => ownScanner({ name: "av", onError: { down: "accept" as never } }, scanner),
      /"accept"; it is one of defer, reject, quarantine, skip/,
    ],
    ["an unknown policy", () => ownScanner({ name: "av", onError: "accept" as OnError }, scanner), /"accept"/],
    ["no name", () => ownScanner({ name: "av" }, { ...scanner, name: "" }), /needs a name/],
    ["no scan", () => ownScanner({ name: "av" }, { ...scanner, scan: undefined as never }), /"scan"/],
    ["a begin that is none", () => ownScanner({ name: "av" }, { ...scanner, begin: true as never }), /"begin"/],
    ["a deadline of nothing", () => ownScanner({ name: "av", onError: "skip", deadlineMs: 0 }, scanner), /"deadline"/],
  ])("%s is refused", (_, register, message) => {
    expect(register).toThrow(PluginError);
    expect(register).toThrow(message);
  });

  test("an engine's own policy and deadline go before those of the config entry", () => {
    const own: Scanner = { ...scanner, onError: "reject", deadlineMs: 5 };
    expect(ownScanner({ name: "av", onError: "skip", deadlineMs: 9 }, own).owner).toEqual({
      name: "av",
      onError: "reject",
      deadlineMs: 5,
    });
    expect(ownScanner({ name: "av", onError: "skip" }, scanner).owner.deadlineMs).toBe(30_000);
  });

  test("two of one name are refused", () => {
    const guard = createGuard(createFakeClock(), () => undefined);
    const one = ownScanner({ name: "av", onError: "skip" }, scanner);
    expect(() => createScanning([one, one], guard)).toThrow(/already/);
  });
});
