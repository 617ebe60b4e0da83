import { describe, expect, test } from "vitest";
import type { FailureReason } from "../errors.ts";
import { defer, formatReply, reject, type Objection } from "../model/index.ts";
import { Failed, InvalidAnswer } from "./guard.ts";
import { checkObjection, objectionFor } from "./objection.ts";
import type { OnError } from "./owner.ts";

function failed(onError: OnError, reason: FailureReason = "error"): Failed {
  const error = new Error("connect ECONNREFUSED /run/secret.sock");
  return new Failed({ name: "thirdparty", onError, deadlineMs: 1 }, "smtp.rcpt", reason, error);
}
const spoken = (answer: Objection | undefined) => answer && formatReply(answer.reply);

describe("a failure answers as its owner said, and the peer never sees the error", () => {
  test.each<[onError: OnError, reason: FailureReason, said: string | undefined]>([
    ["defer", "error", "451 4.3.0 Temporary failure, try again later"],
    ["reject", "error", "554 5.3.0 Message refused"],
    ["skip", "timeout", undefined],
    [{ down: "skip", timeout: "reject" }, "down", undefined],
    [{ down: "skip", timeout: "reject" }, "timeout", "554 5.3.0 Message refused"],
    [{ down: "skip" }, "invalid", "451 4.3.0 Temporary failure, try again later"],
    ["quarantine", "error", "451 4.3.0 Temporary failure, try again later"],
    [{ toString: "skip" } as OnError, "error", "451 4.3.0 Temporary failure, try again later"],
  ])("%j, %s", (onError, reason, said) => {
    expect(spoken(objectionFor(failed(onError, reason)))).toBe(said);
  });
});

describe("an objection's reply is made anew", () => {
  test.each([
    [
      "line breaks",
      { kind: "reject", reply: { code: 550, enhanced: "5.7.1", text: "no\r\n250 ok" } },
      "550 5.7.1 no 250 ok",
    ],
    [
      "class of the enhanced code",
      { kind: "reject", reply: { code: 550, enhanced: "2.0.0", text: "no" } },
      "550 5.0.0 no",
    ],
    ["no text", { kind: "defer", reply: { code: 450, enhanced: "4.7.1" } }, "450 4.7.1 "],
  ])("%s", (_, answer, said) => {
    expect(spoken(checkObjection(answer))).toBe(said);
  });

  test.each([
    ["null", null],
    ["true", true],
    ["a string", "reject"],
    ["permit, since a hook only narrows", { kind: "permit" }],
    ["no reply", { kind: "reject" }],
    ["reject with 2yz", { kind: "reject", reply: { code: 250, enhanced: undefined, text: "ok" } }],
    ["defer with 5yz", { kind: "defer", reply: reject("no").reply }],
    ["reject with 4yz", { kind: "reject", reply: defer("no").reply }],
    ["an array", [reject("no")]],
  ])("%s is no objection", (_, answer) => {
    expect(() => checkObjection(answer)).toThrow(InvalidAnswer);
  });

  test("no opinion is no opinion", () => {
    expect(checkObjection(undefined)).toBeUndefined();
  });
});
