import { expect, it } from "vitest";
import { logText } from "./log-text.ts";

it.each<[given: unknown, text: string]>([
  ["plain Grüße 例", "plain Grüße 例"],
  ["two\r\nlines", "two??lines"],
  ["\u001b[31mred", "?[31mred"],
  ["nul\0 del\u007f c1\u0085 ls\u2028 ps\u2029", "nul? del? c1? ls? ps?"],
  ["moc.elpmaxe\u202e", "moc.elpmaxe?"],
  ["half \ud83d", "half \ufffd"],
  [undefined, "undefined"],
  [new Error("no\nway"), "Error: no?way"],
  [Object.create(null), "(unprintable)"],
])("%j is logged as %j", (given, text) => {
  expect(logText(given)).toBe(text);
});

it.each([
  [undefined, 512],
  [10, 10],
  [1, 1],
])("cuts a long text: limit %s", (limit, length) => {
  const text = logText("x".repeat(1_000_000), limit);
  expect(text).toHaveLength(length);
  expect(text.endsWith("…")).toBe(true);
  expect(logText("x".repeat(length), limit)).toBe("x".repeat(length));
});

it("stays short when a character is cut in two", () => {
  expect(logText(`${"x".repeat(510)}😀😀`)).toBe(`${"x".repeat(510)}\ufffd…`);
});
