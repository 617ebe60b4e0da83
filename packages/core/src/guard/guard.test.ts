/* oxlint-disable unicorn/no-thenable -- thenables are what is tested */
import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { PosternError, ScannerFailure, type FailureReason } from "../errors.ts";
import { createGuard, Failed, InvalidAnswer } from "./guard.ts";
import type { Owner } from "./owner.ts";

const owner: Owner = { name: "thirdparty", onError: "defer", deadlineMs: 1_000 };

function setUp() {
  const clock = createFakeClock();
  const reports: Failed[] = [];
  const guard = createGuard(clock, (failed) => void reports.push(failed));
  return { clock, reports, guard };
}

function onlyNumbers(answer: unknown): number {
  if (typeof answer !== "number") throw new InvalidAnswer("not a number");
  return answer;
}

/** Something that throws whatever is asked of it: what a broken or hostile plugin may throw. */
const trap = new Proxy(
  {},
  {
    get() {
      throw new Error("touched");
    },
    getPrototypeOf() {
      throw new Error("touched");
    },
  },
);

/** A true promise whose own `then`, or whose constructor, is the plugin's. */
function tampered(overrides: PropertyDescriptorMap): Promise<number> {
  return Object.defineProperties(Promise.resolve(1), overrides);
}

test("an answer in hand comes back in hand, with no timer and no promise", () => {
  const { clock, reports, guard } = setUp();
  expect(guard.run(owner, "hook", onlyNumbers, (a: number, b: number) => a + b, 1, 2)).toBe(3);
  expect([clock.pending, reports]).toEqual([0, []]);
});

test("a promise arms the deadline, and its answer disarms it", async () => {
  const { clock, reports, guard } = setUp();
  const answer = guard.run(owner, "hook", onlyNumbers, async () => 3);
  expect(clock.pending).toBe(1);
  expect(await answer).toBe(3);
  expect([clock.pending, reports]).toEqual([0, []]);
});

describe("what goes wrong is a Failed with owner, point and reason, reported once", () => {
  const throws = (error: unknown) => () => {
    throw error;
  };
  const cases: readonly [what: string, reason: FailureReason, call: () => unknown][] = [
    ["throw", "error", throws(new Error("x"))],
    ["throw of undefined", "error", throws(undefined)],
    ["throw of an object without a prototype", "error", throws(Object.create(null))],
    ["throw of an object that throws", "error", throws(trap)],
    ["reject", "error", () => Promise.reject(new Error("x"))],
    ["reject with an object that throws", "error", () => Promise.reject(trap)],
    ["scanner that is down", "down", () => Promise.reject(new ScannerFailure("down", "x"))],
    ["scanner that refuses the size", "tooLarge", throws(new ScannerFailure("tooLarge", "x"))],
    ["a reason that nobody knows", "error", throws(new ScannerFailure("constructor" as FailureReason, "x"))],
    ["own deadline", "timeout", throws(new PosternError("DEADLINE_EXCEEDED", "x"))],
    ["nonsense", "invalid", () => "nonsense"],
    ["null", "invalid", () => null],
    ["late nonsense", "invalid", async () => "nonsense"],
    ["a promise of null", "invalid", async () => null],
    [
      "then that throws",
      "error",
      () => ({
        then() {
          throw new Error("x");
        },
      }),
    ],
    [
      "getter of then that throws",
      "invalid",
      () => ({
        get then() {
          throw new Error("x");
        },
      }),
    ],
    ["promise whose own then throws", "error", () => tampered({ then: { value: throws(new Error("x")) } })],
    ["promise whose constructor throws", "error", () => tampered({ constructor: { get: throws(new Error("x")) } })],
  ];
  test.each(cases)("%s: %s", async (_, reason, call) => {
    const { clock, reports, guard } = setUp();
    const answer = await guard.run(owner, "smtp.rcpt", onlyNumbers, call);
    expect(answer).toBeInstanceOf(Failed);
    expect(answer).toMatchObject({ owner, point: "smtp.rcpt", reason });
    expect(reports).toEqual([answer]);
    expect(clock.pending).toBe(0);
  });
});

test("of a thenable that calls back many times the first word counts", async () => {
  const { guard, reports } = setUp();
  const both = (yes: (value: number) => void, no: (error: unknown) => void) => {
    yes(1);
    no(new Error("second"));
    yes(2);
    throw new Error("third");
  };
  expect(await guard.run(owner, "hook", onlyNumbers, () => ({ then: both }))).toBe(1);
  expect(await guard.run(owner, "hook", onlyNumbers, () => tampered({ then: { value: both } }))).toBe(1);
  expect(reports).toEqual([]);
});

test.each([
  ["fulfilled", (settle: PromiseWithResolvers<number>) => settle.resolve(1)],
  ["rejected", (settle: PromiseWithResolvers<number>) => settle.reject(new Error("late"))],
])("a promise %s after its deadline is dropped: one report, the reason is timeout", async (_, finish) => {
  const { clock, reports, guard } = setUp();
  const pending = Promise.withResolvers<number>();
  const answer = guard.run(owner, "hook", onlyNumbers, () => pending.promise);
  await clock.run(999);
  expect(reports).toEqual([]);
  await clock.run(1);
  expect(await answer).toMatchObject({ reason: "timeout", error: { code: "DEADLINE_EXCEEDED" } });
  finish(pending);
  await clock.run(0);
  expect(reports).toHaveLength(1);
});

test("a reporter that throws does not change the answer", async () => {
  const guard = createGuard(createFakeClock(), () => {
    throw new Error("log is full");
  });
  expect(guard.run(owner, "hook", onlyNumbers, () => "x")).toBeInstanceOf(Failed);
  expect(await guard.run(owner, "hook", onlyNumbers, async () => "x")).toBeInstanceOf(Failed);
});

test.each([
  ["thrown", () => Promise.reject(trap)],
  ["a cause", () => Promise.reject(new Error("x", { cause: trap }))],
  [
    "a message that throws",
    () => Promise.reject(Object.defineProperty(new Error("x"), "message", { get: () => trap })),
  ],
])("an error that nobody can look at is replaced: %s", async (_, call) => {
  const { guard, reports } = setUp();
  const failed = await guard.run(owner, "hook", onlyNumbers, call);
  expect((failed as Failed).error).toEqual(new Error("the error cannot be looked at"));
  expect(reports).toHaveLength(1);
});
