import { describe, expect, it } from "vitest";
import { formatReply, internalError, reply } from "./reply.ts";

const hostile: readonly (readonly [what: string, value: unknown])[] = [
  ["undefined", undefined],
  ["a symbol", Symbol("x")],
  ["an object without prototype", Object.create(null)],
  [
    "an object that throws",
    {
      toString() {
        throw new Error("no");
      },
    },
  ],
];

describe("text", () => {
  it.each([
    ["Ok", "Ok"],
    ["two\r\n250 2.0.0 lines", "two 250 2.0.0 lines"],
    ["\r\n.\r\n", "."],
    ["nul\0 del\u007f c1\u0085 ls\u2028 tab\t.", "nul  del  c1  ls  tab ."],
    ["Grüße", "Grüße"],
    ["half \ud83d", "half \ufffd"],
    ["", ""],
  ])("%j becomes %j", (given, text) => {
    expect(reply(250, "2.0.0", given).text).toBe(text);
  });

  it.each([
    ["ASCII", "x".repeat(1_000_000)],
    ["two octets a character", "ü".repeat(1_000_000)],
    ["four octets a character", "😀".repeat(1_000_000)],
    ["control bytes", "\r\n".repeat(1_000_000)],
  ])("fits a reply line of 512 octets: %s", (_, given) => {
    const { text } = reply(550, "5.7.1", given);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(400);
    expect(text.isWellFormed()).toBe(true);
    expect(text).not.toContain("\ufffd");
  });

  it.each(hostile)("may be %s", (_, value) => {
    expect(formatReply(reply(550, "5.7.1", value as string))).toMatch(/^550 5\.7\.1 [\u0020-\u007e]+$/);
  });
});

describe("code", () => {
  it.each([199, 600, 0, -550, 550.5, Number.NaN, Infinity, "550", undefined])("%s is none: 451", (code) => {
    expect(reply(code as number, "5.7.1", "x")).toEqual({ code: 451, enhanced: "4.0.0", text: "x" });
  });

  it.each([
    [550, "5.7.1", "5.7.1"],
    [550, "4.7.1", "5.0.0"],
    [250, "5.7.1", "2.0.0"],
    [451, "2.0.0", "4.0.0"],
    [550, "5.7", "5.0.0"],
    [550, "5.7.1\r\n", "5.0.0"],
    [550, "5.7.1234", "5.0.0"],
    [550, undefined, undefined],
    [354, "3.0.0", undefined],
    [220, undefined, undefined],
  ])("%i with %j stands with %j", (code, enhanced, expected) => {
    expect(reply(code, enhanced, "x").enhanced).toBe(expected);
  });

  it.each(hostile.slice(1))("with %s as enhanced code", (_, value) => {
    expect(reply(550, value as string, "x").enhanced).toBe("5.0.0");
  });
});

it("is not to be changed by those who pass it on", () => {
  expect(Object.isFrozen(reply(250, "2.0.0", "Ok"))).toBe(true);
});

it("says nothing about what went wrong inside", () => {
  expect(formatReply(internalError)).toBe("451 4.3.0 Temporary failure, try again later");
});
