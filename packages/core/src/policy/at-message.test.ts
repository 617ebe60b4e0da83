import { describe, expect, test } from "vitest";
import { formatReply } from "../model/reply.ts";
import { defer, permit, reject, type RecipientAnswer, type Verdict } from "../model/verdict.ts";
import { mergeVerdicts, mixedPolicies, type MixedPolicy } from "./at-message.ts";

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

describe("every answer of up to three recipients", () => {
  const answers: Readonly<Record<string, RecipientAnswer>> = {
    ...verdicts,
    u: undefined,
    x: { kind: "discard", text: "list" },
    q: { kind: "quarantine", text: "doubtful" },
  };
  const letters = Object.keys(answers);
  const words = [1, 2, 3].flatMap((length) =>
    Array.from({ length: letters.length ** length }, (_, number) =>
      Array.from({ length }, (__, at) => letters[Math.floor(number / letters.length ** at) % letters.length]).join(""),
    ),
  );

  const inOrder = (indexes: readonly number[]) => indexes.toSorted((one, other) => one - other);

  test.each(mixedPolicies)("by %s", (mixed) => {
    for (const word of words) {
      const given = word.split("").map((letter) => answers[letter]);
      const { objection, accepted, discarded, quarantined } = mergeVerdicts(given, mixed);
      const at = (wanted: string) =>
        word.split("").flatMap((letter, index) => (wanted.includes(letter) ? [index] : []));
      const fates = inOrder([...accepted, ...discarded, ...quarantined]);
      const all = given.map((_, index) => index);
      if (/[de]/.test(word)) {
        // The client comes again with all of them; only when all are told the same is it said as it was.
        const first = answers[/[de]/.exec(word)?.[0] ?? ""] as Verdict & { readonly kind: "defer" };
        const code = new Set(word).size === 1 ? first.reply.code : 451;
        expect([word, objection && formatReply(objection.reply), fates]).toEqual([
          word,
          formatReply({ ...first.reply, code }),
          [],
        ]);
      } else if (/[rs]/.test(word) && (mixed === "reject-all" || /^[rs]+$/.test(word))) {
        expect([word, objection, fates]).toEqual([word, answers[/[rs]/.exec(word)?.[0] ?? ""], []]);
      } else {
        expect([word, objection, fates]).toEqual([word, undefined, all]);
        expect(accepted).toEqual(at("pu"));
        expect(inOrder(discarded)).toEqual(at(mixed === "discard" ? "xrs" : "x"));
        expect(inOrder(quarantined)).toEqual(at(mixed === "quarantine" ? "qrs" : "q"));
      }
    }
    expect(words).toHaveLength(8 + 64 + 512);
  });
});
