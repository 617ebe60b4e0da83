import { describe, expect, test } from "vitest";
import { defer, permit, reject, type Verdict } from "../model/verdict.ts";
import { mergeVerdicts, type MixedPolicy } from "./at-message.ts";

const verdicts: Readonly<Record<string, Verdict>> = {
  p: permit,
  r: reject("virus", "5.7.1", 550),
  s: reject("spam", "5.7.0", 554),
  d: defer("greylisted", "4.2.0", 450),
  e: defer("scanner down", "4.3.0", 451),
};

describe("one answer of SMTP for several recipients", () => {
  test.for<[given: string, mixed: MixedPolicy, answer: string]>([
    ["", "reject-all", "ok"],
    ["p", "reject-all", "ok 0"],
    ["ppp", "reject-all", "ok 0,1,2"],
    ["rr", "discard", "550 5.7.1 virus"],
    ["rs", "discard", "550 5.7.1 virus"],
    ["pr", "reject-all", "550 5.7.1 virus"],
    ["psr", "reject-all", "554 5.7.0 spam"],
    ["pr", "discard", "ok 0 discarded 1"],
    ["rpsp", "discard", "ok 1,3 discarded 0,2"],
    ["dd", "discard", "450 4.2.0 greylisted"],
    ["de", "discard", "451 4.2.0 greylisted"],
    ["pd", "discard", "451 4.2.0 greylisted"],
    ["rd", "discard", "451 4.2.0 greylisted"],
    ["prde", "reject-all", "451 4.2.0 greylisted"],
  ])("%s by %s: %s", ([given, mixed, answer]) => {
    const merged = mergeVerdicts(
      given.split("").map((letter) => verdicts[letter] as Verdict),
      mixed,
    );
    const { objection, accepted, discarded } = merged;
    const taken = `ok ${accepted.join(",")}${discarded.length > 0 ? ` discarded ${discarded.join(",")}` : ""}`.trim();
    const { code, enhanced, text } = objection?.reply ?? {};
    expect(objection === undefined ? taken : `${code} ${enhanced} ${text}`).toBe(answer);
    if (objection !== undefined) expect([...accepted, ...discarded]).toEqual([]);
  });
});
