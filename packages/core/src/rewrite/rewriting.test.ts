import { createFakeClock } from "@postern/testkit";
import { describe, expect, test } from "vitest";
import { PosternError, TableUnavailable } from "../errors.ts";
import { createGuard } from "../guard/guard.ts";
import { createMemoryBlob, createMessage, type Blob } from "../message/index.ts";
import { systemClock, type Envelope, type Recipient } from "../model/index.ts";
import { createQualifier } from "./qualify.ts";
import type { RewriteAddress, Rewriter } from "./rewriter.ts";
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

  describe("headers, mail on its way out, and who has moved", () => {
    const ask = { session: undefined };
    const header = "From: from@a.test\r\nTo: One <one@a.test>\r\n\r\nx\r\n";
    const content = createMemoryBlob([Buffer.from(header)]);
    const textOf = (blob: Blob): string => Buffer.concat([...(blob.chunks ?? [])]).toString();
    const rewriter = (more: Partial<Rewriter>): Rewriter => ({ ...answering((given) => given), ...more });
    const suffix =
      (letter: string): RewriteAddress =>
      (address, place) =>
        place.endsWith("sender") ? address : address.replace("@", `${letter}@`);

    test("nobody who does it: nothing to call", () => {
      const { rewriteHeader, rewriteOutbound, movedTo } = combine([rewriter({})]);
      expect([rewriteHeader, rewriteOutbound, movedTo]).toEqual([undefined, undefined, undefined]);
    });

    test("each sees what the one before made; one that does not care for this message is passed over", async () => {
      const rewriters = combine([
        rewriter({ forHeader: () => suffix("x"), forOutbound: () => suffix("x") }),
        rewriter({ forHeader: () => undefined }),
        rewriter({
          forHeader: () => suffix("y"),
          forOutbound: () => async (address, place) => suffix("y")(address, place),
        }),
      ]);
      const expected = header.replace("one@", "onexy@");
      const message = await rewriters.rewriteHeader?.(createMessage(content), ask);
      expect(message && textOf(message.raw)).toBe(expected);
      const sent = await rewriters.rewriteOutbound?.({ envelope, recipients: [two, one], content });
      expect(sent?.recipients).toEqual([
        { ...two, address: "twoxy@a.test" },
        { ...one, address: "onexy@a.test" },
      ]);
      expect(sent?.envelope).toMatchObject({ sender: "from@a.test", smtputf8: false });
      expect(sent && textOf(sent.content)).toBe(expected);
      expect(textOf(content)).toBe(header);
    });

    test("the null sender is not asked about, and an address that needs UTF-8 says so", async () => {
      const asked: string[] = [];
      const outbound = rewriter({
        forOutbound: () => (address, place) => {
          asked.push(place);
          return address === "one@a.test" && place === "envelope_recipient" ? "\u00f6@a.test" : address;
        },
      });
      const mail = { envelope: { ...envelope, sender: "" }, recipients: [one], content };
      const sent = await combine([outbound]).rewriteOutbound?.(mail);
      expect(sent?.envelope).toMatchObject({ sender: "", smtputf8: true });
      expect(asked).not.toContain("envelope_sender");
    });

    const failures: readonly (readonly [name: string, answer: () => never])[] = [
      [
        "a throw",
        () => {
          throw new Error("secret");
        },
      ],
      ["nonsense", () => "a@b, c@d" as never],
      ["nothing", () => undefined as never],
      ["a rejection", () => Promise.reject(new Error("secret")) as never],
    ];
    test.for(failures)("%s is a failure for now", async ([, answer]) => {
      const rewriters = combine([rewriter({ forHeader: () => answer, forOutbound: () => answer })]);
      const failed = { code: "PLUGIN_FAILED", temporary: true };
      const edited = (async () => rewriters.rewriteHeader?.(createMessage(content), ask))();
      await expect(edited).rejects.toMatchObject(failed);
      await expect(rewriters.rewriteOutbound?.({ envelope, recipients: [one], content })).rejects.toMatchObject(failed);
    });

    test("the first who knows where somebody has moved is believed, in one line", async () => {
      const rewriters = combine([
        rewriter({ movedTo: () => undefined }),
        rewriter({ movedTo: async (address) => (address === "one@a.test" ? "here\r\n250 ok" : undefined) }),
        rewriter({ movedTo: () => "there" }),
      ]);
      expect(await rewriters.movedTo?.("one@a.test")).not.toMatch(/[\r\n]/);
      expect(await rewriters.movedTo?.("two@a.test")).toBe("there");
      expect(() => combine([rewriter({ movedTo: () => 7 as never })]).movedTo?.("one@a.test")).toThrow(PosternError);
    });
  });
});
