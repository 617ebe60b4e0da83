import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { PosternError, TableUnavailable } from "../errors.ts";
import { createGuard } from "../guard/guard.ts";
import { systemClock, type Envelope, type Recipient } from "../model/index.ts";
import { createQualifier } from "./qualify.ts";
import type { Rewriter } from "./rewriter.ts";
import { combineRewriters } from "./rewriting.ts";

const one: Recipient = { address: "one@a.test", original: "One@a.test", notify: ["failure"] };
const two: Recipient = { address: "two@a.test", original: "two@a.test", orcpt: "rfc822;two@b.test" };
const envelope: Envelope = { sender: "from@a.test", recipients: [one, two], body: "7bit", smtputf8: false };
const owner = { name: "test", onError: "skip", deadlineMs: 1000 } as const;

const answering = (answer: (given: Envelope) => unknown): Rewriter => ({
  name: "r",
  rewrite: (given) => answer(given) as typeof given,
});
const combine = (rewriters: readonly Rewriter[], clock = systemClock) =>
  combineRewriters(
    createQualifier("origin.test"),
    rewriters.map((value) => ({ owner, value })),
    createGuard(clock, () => {}),
  );

describe("rewriters", () => {
  test.for<[name: string, answer: (given: Envelope) => unknown, expected: Partial<Envelope>]>([
    ["nothing", (given) => given, {}],
    [
      "another address",
      (given) => ({
        ...given,
        recipients: given.recipients.map((known) => ({ ...known, address: `${known.address}.x` })),
      }),
      {
        recipients: [
          { ...one, address: "one@a.test.x", orcpt: "rfc822;One@a.test" },
          { ...two, address: "two@a.test.x" },
        ],
      },
    ],
    [
      "the same one twice: the first stays",
      (given) => ({
        ...given,
        recipients: [one, { ...two, address: "ONE@A.test" }, { ...two, address: "one@A.test" }],
      }),
      { recipients: [one, { ...two, address: "ONE@a.test" }] },
    ],
    ["a sender", (given) => ({ ...given, sender: "x@B.test" }), { sender: "x@b.test" }],
    ["no sender", (given) => ({ ...given, sender: "" }), { sender: "" }],
    [
      "an address that needs SMTPUTF8",
      (given) => ({ ...given, recipients: [{ ...one, address: "ü@a.test" }] }),
      { smtputf8: true, recipients: [{ ...one, address: "ü@a.test", orcpt: "rfc822;One@a.test" }] },
    ],
    ["later", async (given) => ({ ...given, sender: "" }), { sender: "" }],
  ])("%s", async ([, answer, expected]) => {
    expect(await combine([answering(answer)]).rewrite(envelope, { session: undefined })).toEqual({
      ...envelope,
      ...expected,
    });
  });

  test("each sees what the one before made; a bare postmaster has a domain by then", async () => {
    const seen: string[] = [];
    const adding = (letter: string) =>
      answering((given) => {
        seen.push(...given.recipients.map(({ address }) => address));
        return {
          ...given,
          recipients: given.recipients.map((known) => ({ ...known, address: letter + known.address })),
        };
      });
    const bare = { ...envelope, recipients: [{ address: "postmaster", original: "postmaster" }] };
    const rewritten = await combine([adding("a"), adding("b")]).rewrite(bare, { session: undefined });
    expect(rewritten.recipients.map(({ address }) => address)).toEqual(["bapostmaster@origin.test"]);
    expect(seen).toEqual(["postmaster@origin.test", "apostmaster@origin.test"]);
  });

  test.for<[name: string, answer: (given: Envelope) => unknown]>([
    ["nobody is left", (given) => ({ ...given, recipients: [] })],
    ["no envelope", () => undefined],
    ["no address", (given) => ({ ...given, recipients: [{ ...one, address: "a b" }] })],
    ["no original", (given) => ({ ...given, recipients: [{ address: "x@a.test" }] })],
    ["no recipient", (given) => ({ ...given, recipients: [undefined] })],
    ["a wrong sender", (given) => ({ ...given, sender: "a b" })],
    ["a flood", (given) => ({ ...given, recipients: Array.from({ length: 100_001 }, () => one) })],
    [
      "a throw",
      () => {
        throw new Error("secret");
      },
    ],
    ["a rejection", () => Promise.reject(new Error("secret"))],
  ])("%s is a failure for now, whatever onError says", async ([, answer]) => {
    const rewriting = (async () => combine([answering(answer)]).rewrite(envelope, { session: undefined }))();
    await expect(rewriting).rejects.toMatchObject({ code: "PLUGIN_FAILED", temporary: true });
  });

  test("what hangs ends with its deadline; a table that is down says so", async () => {
    const clock = createFakeClock();
    const hanging = combine([answering(() => new Promise(() => {}))], clock).rewrite(envelope, { session: undefined });
    clock.advance(1000);
    await expect(hanging).rejects.toThrow(PosternError);
    const down = answering(() => Promise.reject(new TableUnavailable("t", "down")));
    await expect(combine([down]).rewrite(envelope, { session: undefined })).rejects.toThrow(TableUnavailable);
  });

  test("an alias of any of them is one", async () => {
    const knowing = (isAlias: Rewriter["isAlias"]): Rewriter => ({
      ...answering((given) => given),
      ...(isAlias && { isAlias }),
    });
    const rewriters = combine([
      knowing(undefined),
      knowing((address) => address === "one@a.test"),
      knowing(async (address) => address === "two@a.test"),
    ]);
    expect(rewriters.isAlias?.("one@a.test")).toBe(true);
    expect(await rewriters.isAlias?.("two@a.test")).toBe(true);
    expect(await rewriters.isAlias?.("three@a.test")).toBe(false);
    const wrong = combine([knowing((() => "yes") as never)]);
    expect(() => wrong.isAlias?.("one@a.test")).toThrow(PosternError);
  });
});
