import { expect, test } from "vitest";
import { soundLines } from "./sound-lines.ts";

test("lines that just fit cost no more than others", () => {
  const text = `${"x".repeat(998)}\r\n`.repeat(8_000);
  expect(soundLines(text, "body")).toBe(text);
});

test("a line beyond 998 octets is broken wherever it stands", () => {
  const long = "x".repeat(1_000);
  const broken = `${"x".repeat(998)}\r\nxx\r\n`;
  expect(soundLines(`${long}\r\nshort\r\n${long}\n${long}`, "body")).toBe(`${broken}short\r\n${broken}${broken}`);
});
