import { describe, expect, test } from "vitest";
import { InvalidAnswer } from "../guard/guard.ts";
import { createMemoryBlob, createMessage, type Message } from "../message/index.ts";
import type { MaybePromise } from "../model/index.ts";
import { rewriteHeader } from "./header-addresses.ts";

const messageOf = (text: string, encoding: BufferEncoding = "utf8"): Message =>
  createMessage(createMemoryBlob([Buffer.from(text, encoding)]));
const textOf = (message: Message): string => Buffer.concat([...(message.raw.chunks ?? [])]).toString("utf8");
/** `in.test` is a secret. */
const hide = (address: string): string => address.replace(/@(?:.*\.)?in\.test$/i, "@out.test");

const rewrite = async (
  text: string,
  by: (address: string, place: string) => MaybePromise<string> = hide,
): Promise<string> => textOf(await rewriteHeader(messageOf(text), by));

describe("addresses in a header", () => {
  test.for<[written: string, expected: string]>([
    ["From: joe@in.test\r\n", "From: joe@out.test\r\n"],
    ["from : Joe (x@in.test)\r\n <joe@host.in.test> (c)\r\n", "from : Joe (x@in.test)\r\n <joe@out.test> (c)\r\n"],
    ["To: a@in.test,b@else.test ,\r\n\tC <c@in.test>\r\n", "To: a@out.test,b@else.test ,\r\n\tC <c@out.test>\r\n"],
    [
      "Cc: =?utf-8?q?=C3=B6?= <a@in.test>, g: b@in.test;\r\n",
      "Cc: =?utf-8?q?=C3=B6?= <a@out.test>, g: b@out.test;\r\n",
    ],
    ["To: joe (one) @ in.test\r\n", "To: joe@out.test (one)\r\n"],
    ["To: Jörg <ö@in.test>\r\n", "To: Jörg <ö@out.test>\r\n"],
    [
      "TO: a@in.test\r\nSubject: a@in.test\r\nX-To: a@in.test\r\n",
      "TO: a@out.test\r\nSubject: a@in.test\r\nX-To: a@in.test\r\n",
    ],
    [
      "Received: from x by y for <a@in.test>\r\nNo field a@in.test\r\n",
      "Received: from x by y for <a@in.test>\r\nNo field a@in.test\r\n",
    ],
  ])("%j", async ([written, expected]) => {
    expect(await rewrite(`${written}\r\nbody: a@in.test\r\n`)).toBe(`${expected}\r\nbody: a@in.test\r\n`);
    expect(await rewrite(written)).toBe(expected);
  });

  test("octets that are no UTF-8 stay", async () => {
    const message = messageOf("To: J\u00f6rg <a@in.test>, \u00f6@else.test\r\n\r\n\u00ff\r\n", "latin1");
    const edited = await rewriteHeader(message, hide);
    expect(Buffer.concat([...(edited.raw.chunks ?? [])]).toString("latin1")).toBe(
      "To: J\u00f6rg <a@out.test>, \u00f6@else.test\r\n\r\n\u00ff\r\n",
    );
  });

  test.for(["(a\r\n comment)", "(\u0001\u007f)", "(\u00f6)", "(\u00e2\u0080\u00a8)"])(
    "a comment within an address stays, octet for octet: %j",
    async (comment) => {
      const edited = await rewriteHeader(messageOf(`To: a ${comment} @in.test\r\n\r\nx\r\n`, "latin1"), hide);
      expect(Buffer.concat([...(edited.raw.chunks ?? [])]).toString("latin1")).toBe(
        `To: a@out.test ${comment}\r\n\r\nx\r\n`,
      );
    },
  );

  test("a domain that is put in has A-labels", async () => {
    const list = "From: a@in.test\r\nTo: \u00f6@in.test\r\n\r\n";
    expect(await rewrite(list, (address) => address.replace("in.test", "b\u00fccher.test"))).toBe(
      "From: a@xn--bcher-kva.test\r\nTo: \u00f6@b\u00fccher.test\r\n\r\n",
    );
  });

  test("a message without a change is the same message", () => {
    const message = messageOf("From: a@b.test\r\nTo: <c@d.test>\r\n\r\nx\r\n");
    expect(rewriteHeader(message, hide)).toBe(message);
  });

  test("senders and recipients are told apart, and each address is asked for once", async () => {
    const asked: string[] = [];
    await rewrite(
      "From: a@in.test\r\nReply-To: a@in.test\r\nTo: a@in.test, a@in.test\r\nResent-Reply-To: b@b.test\r\n\r\n",
      (address, place) => {
        asked.push(`${place} ${address}`);
        return hide(address);
      },
    );
    expect(asked).toEqual(["header_sender a@in.test", "header_recipient a@in.test", "header_recipient b@b.test"]);
  });

  test("a line that would grow too long is folded before the address", async () => {
    const list = Array.from({ length: 90 }, (_, at) => `u${at}@in.test`).join(",");
    const long = await rewrite(`To: ${list}\r\n\r\n`, (address) =>
      address.replace("@in.test", "@a-much-longer-name.test"),
    );
    expect(Math.max(...long.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(998);
    expect(long.replaceAll("\r\n\t", "")).toBe(
      `To: ${list.replaceAll("@in.test", "@a-much-longer-name.test")}\r\n\r\n`,
    );
  });

  test.for([
    "",
    "a@b, c@d",
    "a@b\r\nBcc: x@y",
    "<a@b>",
    "a b@c",
    7 as never,
    undefined as never,
    `${"a".repeat(1000)}@b.test`,
  ])("%j is no address to put in", async (answer) => {
    await expect(rewrite("To: a@b.test\r\n\r\n", async () => answer)).rejects.toThrow(InvalidAnswer);
    expect(() => rewriteHeader(messageOf("To: a@b.test\r\n\r\n"), () => answer)).toThrow(InvalidAnswer);
  });

  test.for([true, false])("a megabyte of addresses has its limit; later: %s", async (later) => {
    const list = `To: ${"a@in.test,\r\n ".repeat(80_000)}b@in.test\r\n\r\n`;
    const edited = await rewrite(list, (address) => (later ? Promise.resolve(hide(address)) : hide(address)));
    const changed = edited.split("@out.test").length - 1;
    expect(changed).toBeGreaterThan(10_000);
    expect(changed).toBeLessThanOrEqual(10_240);
    expect(edited.replaceAll("@out.test", "@in.test")).toBe(list);
  });
});
