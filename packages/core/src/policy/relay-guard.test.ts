// The open-relay reasoning, exhaustively: no combination of lists, answers and failures lets a stranger relay.
import { describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { defer, permit, reject } from "../model/verdict.ts";
import type { AddressClass } from "../model/envelope.ts";
import { decideRelay } from "./relay-guard.ts";
import { stages, type Restriction, type Stage } from "./restriction.ts";
import { question, setUp, type Words } from "./policy.fixture.ts";

describe("the decision", () => {
  const classes: readonly (AddressClass | "unavailable")[] = [
    "local",
    "relay",
    "virtualAlias",
    "virtualMailbox",
    "default",
    "unavailable",
  ];
  const cases = classes.flatMap((addressClass) =>
    [false, true].flatMap((authorized) =>
      [false, true].map((senderSpecifiedRouting) => ({ addressClass, authorized, senderSpecifiedRouting })),
    ),
  );
  test.for(cases)("$addressClass, authorised $authorized, routing $senderSpecifiedRouting", (asked) => {
    const { addressClass, authorized, senderSpecifiedRouting } = asked;
    const stranger = senderSpecifiedRouting || addressClass === "default" ? "reject" : undefined;
    const expected = authorized ? "pass" : (stranger ?? (addressClass === "unavailable" ? "defer" : "pass"));
    expect(decideRelay(asked)).toBe(expected);
  });
});

/** Everything that a word may say, do or fail to do, that is no refusal. */
const answers: Words = {
  permits: () => permit,
  permits_late: async () => permit,
  permits_with_effects: () => [{ kind: "prepend", name: "X", value: "y" }, permit],
  forges: () => ({ kind: "permit", authorizes: true, authorized: true }) as never,
  says_nothing: () => undefined,
  says_nothing_late: async () => undefined,
  logs: () => ({ kind: "log", text: "hello" }),
  discards: () => [{ kind: "discard" }, permit],
  defers_if_reject: () => ({ kind: "deferIfReject", reply: defer("x").reply }),
};
const failures: Words = {
  throws: () => {
    throw new Error("boom");
  },
  rejects_late: () => Promise.reject(new Error("boom")),
  answers_null: () => null as never,
  answers_nonsense: () => ({ kind: "authorize" }) as never,
  answers_true: () => true as never,
  two_verdicts: () => [permit, permit],
};
const foreign = [
  "user@other.example",
  "user@sub.ours.example",
  "user%other.example@ours.example",
  '"a@b"@ours.example',
];

describe("a stranger", () => {
  const placements: readonly { name: string; lists: (word: string) => Partial<Record<Stage, string[]>> }[] = [
    ...stages.map((stage) => ({ name: `in ${stage}`, lists: (word: string) => ({ [stage]: [word], relay: [] }) })),
    ...stages.map((stage) => ({
      name: `in ${stage} beside the default`,
      lists: (word: string) => ({ [stage]: [word] }),
    })),
    { name: "everywhere", lists: (word) => Object.fromEntries(stages.map((stage) => [stage, [word]])) },
    { name: "in a class", lists: () => ({ relay: ["own"], rcpt: ["own"] }) },
    { name: "under warn_if_reject", lists: (word) => ({ relay: [`warn_if_reject ${word}`], rcpt: [word] }) },
  ];
  const words: Words = { ...answers, ...failures };
  const cases = placements.flatMap((placement) =>
    Object.keys(words).flatMap((word) => [true, false].map((delayReject) => ({ ...placement, word, delayReject }))),
  );
  test.for(cases)("$word $name, delayReject $delayReject, never relays", async ({ lists, word, delayReject }) => {
    const config = { lists: lists(word), classes: { own: [word] }, delayReject };
    const { policy } = await setUp(config, { words, onError: "skip" });
    for (const address of foreign) {
      const judge = policy.start();
      const asked = question(address);
      for (const stage of ["connect", "helo", "mail"] as const) await judge.ask(stage, asked);
      const objection = await judge.ask("rcpt", asked);
      expect(objection?.reply).toMatchObject({ code: 554, enhanced: "5.7.1" });
      expect(judge.decision?.list).toBe("relay guard");
    }
  });

  test.for([
    ["user@down.example", 451],
    ["user@late-down.example", 451],
    ["user@late.example", undefined],
    ["user@ours.example", undefined],
    ["postmaster", undefined],
    ["@ours.example:user@ours.example", 554],
    ["other.example!user@ours.example", 554],
  ] as const)("to %s: %s", async ([address, code]) => {
    const { policy } = await setUp({ lists: {} });
    const objection = await policy.start().ask("rcpt", question(address));
    expect(objection?.reply.code).toBe(code);
  });

  test("original and rewritten address are both looked at", async () => {
    const { policy } = await setUp({ lists: {} });
    const recipient = { address: "b@ours.example", original: "@ours.example:b@ours.example" };
    expect(await policy.start().ask("rcpt", question("", { recipient }))).toMatchObject({ kind: "reject" });
  });
});

describe("a word that authorises", () => {
  const word = (authorizes: Restriction["authorizes"], name = "knows"): Partial<Restriction> => ({
    name,
    ...(authorizes === undefined ? {} : { authorizes }),
    compile: () => () => permit,
  });
  const relayed = async (
    lists: Partial<Record<Stage, string[]>>,
    authorizes: Restriction["authorizes"],
    words: Words = {},
  ): Promise<boolean> => {
    const { policy } = await setUp({ lists }, { words, restrictions: [word(authorizes)], onError: "skip" });
    return (await policy.start().ask("rcpt", question("user@other.example"))) === undefined;
  };

  test.for<[authorizes: Restriction["authorizes"], stage: Stage, relays: boolean]>([
    ...stages.map((stage) => [true, stage, stage === "relay" || stage === "rcpt"] as [boolean, Stage, boolean]),
    ...stages.map((stage) => [["relay"], stage, stage === "relay"] as [Stage[], Stage, boolean]),
    ...stages.map((stage) => [["rcpt"], stage, stage === "rcpt"] as [Stage[], Stage, boolean]),
    ...stages.map((stage) => [[...stages], stage, stage === "relay" || stage === "rcpt"] as [Stage[], Stage, boolean]),
    ...stages.map((stage) => [false, stage, false] as [boolean, Stage, boolean]),
    ...stages.map((stage) => [undefined, stage, false] as [undefined, Stage, boolean]),
  ])("that declares %o, in %s: %s", async ([authorizes, stage, relays]) => {
    expect(await relayed({ relay: [], [stage]: ["knows"] }, authorizes)).toBe(relays);
  });

  test("counts only when it is asked and is the one that permits", async () => {
    const words: Words = { ...answers, ...failures };
    expect(await relayed({ relay: ["permits", "knows"] }, true, words)).toBe(false);
    expect(await relayed({ relay: ["says_nothing", "throws", "knows"] }, true, words)).toBe(true);
    expect(await relayed({ relay: ["knows"], rcpt: ["permits"] }, true, words)).toBe(true);
    expect(await relayed({ relay: ["permits"], rcpt: ["knows"] }, true, words)).toBe(true);
  });

  test("lets nobody past a refusal of another list", async () => {
    const words: Words = { refuses: () => reject("no") };
    for (const stage of ["connect", "helo", "mail", "rcpt"] as const) {
      expect(await relayed({ relay: ["knows"], [stage]: ["refuses"] }, true, words)).toBe(false);
    }
  });

  test("inside another word counts only when both may", async () => {
    const outer = (authorizes: boolean): Partial<Restriction> => ({
      name: "outer",
      authorizes,
      compile: async (_, scope) => {
        const judge = await scope.compile("inner");
        return (ask) => judge(ask);
      },
    });
    for (const outerMay of [false, true]) {
      for (const innerMay of [false, true]) {
        const restrictions = [outer(outerMay), word(innerMay, "inner")];
        const { policy } = await setUp({ lists: { relay: ["outer"] } }, { restrictions });
        const objection = await policy.start().ask("rcpt", question("user@other.example"));
        expect(objection === undefined).toBe(outerMay && innerMay);
      }
    }
  });
});

test("no key of the config turns the guard off", async () => {
  const { policy } = await setUp({ lists: { relay: [], rcpt: [] }, delayReject: false, mixed: "discard" });
  expect(await policy.start().ask("rcpt", question("user@other.example"))).toMatchObject({ kind: "reject" });
  await expect(setUp({ lists: {}, mixed: "bounce" as never })).rejects.toThrow(ConfigError);
});
