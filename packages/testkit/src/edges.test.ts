import { createGuard, Failed, isPromise, InvalidAnswer, checkAnswer, logText, reject } from "@postern/core";
import { describe, expect, test } from "vitest";
import { assertEdgesHold, fuzzAnswer, stringsIn } from "./edges.ts";
import { createFakeClock } from "./fake-clock.ts";
import { hostileAnswers, hostileCall, hostileKinds, hostileStrings } from "./hostile.ts";

test("no hostile string breaks an edge", () => {
  for (const text of hostileStrings()) assertEdgesHold(text);
});

test("no hostile answer is taken for one", () => {
  for (const answer of hostileAnswers()) expect(() => checkAnswer(answer)).toThrow();
  expect(() => checkAnswer(null)).toThrow(InvalidAnswer);
});

test("fuzzAnswer reaches every string of an answer", async () => {
  const seen: string[] = [];
  await fuzzAnswer((hostile) => {
    seen.push(hostile);
    return reject(hostile);
  });
  await fuzzAnswer(async (hostile) => {
    throw new Error(hostile);
  });
  expect(seen).toEqual(hostileStrings());
  expect(stringsIn({ a: ["x", { b: "y" }], c: 1 })).toEqual(["x", "y"]);
});

describe("a guarded hostile call", () => {
  test.each(hostileKinds)("%s", async (kind) => {
    const clock = createFakeClock();
    const lines: string[] = [];
    const guard = createGuard(
      clock,
      ({ owner, error }) => void lines.push(logText(`${owner.name}: ${logText(error)}`)),
    );
    const owner = { name: "hostile", onError: "defer", deadlineMs: 1_000 } as const;
    const answer = guard.run(owner, "any", (given) => checkAnswer(given), hostileCall(kind, 1));
    if (kind === "hang") await clock.run(1_000);
    const result = isPromise(answer) ? await answer : answer;
    if (kind === "late" || kind === "thenTwice") expect(result).toBeUndefined();
    else if (kind === "megabyte") expect(result).toMatchObject([{ kind: "reject", reply: { code: 550 } }]);
    else expect(result).toBeInstanceOf(Failed);
    expect(lines).toHaveLength(result instanceof Failed ? 1 : 0);
    for (const line of lines) expect(line).toMatch(/^hostile: [^\r\n]*$/);
  });
});
