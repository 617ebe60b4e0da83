// Whatever SpamAssassin makes of a header section, the edits make the same of the message.
import { applyEdits, createMemoryBlob, createMessage, isPromise } from "@postern/core";
import { describe, expect, test } from "vitest";
import { randomFrom } from "../../../test/sampling.ts";
import { headerEdits, readFields } from "./header-difference.ts";

const body = "Body.\r\n";

/** The header section that the edits make of `before`. */
function edited(before: string, after: string, unwanted?: (name: string) => boolean): string {
  const message = createMessage(createMemoryBlob([Buffer.from(`${before}\r\n${body}`, "latin1")]));
  const edits = headerEdits(message.headers, readFields(Buffer.from(`${after}\r\n`, "latin1")), unwanted);
  const result = applyEdits(message, edits);
  if (isPromise(result)) throw new Error("a message in memory is edited at once");
  const { raw } = result.message;
  const text = Buffer.concat(raw.chunks ?? []).toString("latin1");
  expect(text.endsWith(`\r\n${body}`)).toBe(true);
  return text.slice(0, -body.length - 2);
}

const kinds = (before: string, after: string): readonly string[] =>
  headerEdits(readFields(Buffer.from(`${before}\r\n`)), readFields(Buffer.from(`${after}\r\n`))).map(
    ({ kind }) => kind,
  );

describe("sections", () => {
  test.each<[what: string, before: string, after: string, kinds: readonly string[]]>([
    ["the same", "A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n", []],
    ["fields on top", "A: 1\r\n", "X: a\r\nY: b\r\n\tc\r\nA: 1\r\n", ["insertHeader", "insertHeader"]],
    ["a field changed", "A: 1\r\nSubject: x\r\nB: 2\r\n", "A: 1\r\nSubject: *SPAM* x\r\nB: 2\r\n", ["replaceHeader"]],
    [
      "a field changed, and one more",
      "S: x\r\nB: 2\r\n",
      "S: y\r\nP: x\r\nB: 2\r\n",
      ["insertHeader", "insertHeader", "deleteHeader"],
    ],
    ["one of several", "S: x\r\nS: y\r\nS: z\r\n", "S: x\r\nS: !\r\nS: z\r\n", ["replaceHeader"]],
    ["fields gone", "X: 1\r\nA: 1\r\nX: 2\r\nX: 3\r\n", "A: 1\r\n", ["deleteHeader", "deleteHeader", "deleteHeader"]],
    ["all gone", "A: 1\r\nB: 2\r\n", "", ["deleteHeader", "deleteHeader"]],
    ["another order", "A: 1\r\nB: 2\r\n", "B: 2\r\nA: 1\r\n", ["deleteHeader", "insertHeader"]],
    ["8-bit octets", "S:K\u00e4se\r\n", "S: \u00dcber\r\n", ["replaceHeader"]],
    [
      "a line that is no field stays",
      "A: 1\r\nno field\r\nX: 1\r\n",
      "Y: 2\r\nA: 1\r\nno field\r\n",
      ["insertHeader", "deleteHeader"],
    ],
  ])("%s", (_, before, after, expected) => {
    expect(edited(before, after)).toBe(after);
    expect(kinds(before, after)).toEqual(expected);
  });

  test("a line that is no field is neither made nor moved", () => {
    expect(() => kinds("A: 1\r\n", "A: 1\r\nno field\r\n")).toThrow("SpamAssassin moved");
    expect(() => kinds("no field\r\nA: 1\r\n", "A: 1\r\n")).toThrow("SpamAssassin moved");
  });

  test("what nobody wants goes where it was left, not where it was made", () => {
    const unwanted = (name: string): boolean => /^x-spam/i.test(name);
    const before = "X-Spam: no\r\nA: 1\r\nX-Spam-Flag: NO\r\nX-Spam: no\r\n";
    expect(edited(before, `X-Spam-Flag: YES\r\n${before}`, unwanted)).toBe("X-Spam-Flag: YES\r\nA: 1\r\n");
  });
});

test("any section can be made of any other", () => {
  const random = randomFrom(20261123);
  const pick = (most: number): number => Math.floor(random() * most);
  const section = (from: readonly string[]): string[] => {
    const fields = from.filter(() => pick(4) > 0);
    for (let more = pick(4); more > 0; more -= 1) {
      fields.splice(pick(fields.length + 1), 0, `${["A", "b", "B", "X-Spam", "Subject"][pick(5)]}: ${pick(3)}\r\n`);
    }
    return fields;
  };
  for (let round = 0; round < 2_000; round += 1) {
    const before = section(section(section([])));
    const after = section(before);
    expect(edited(before.join(""), after.join(""))).toBe(after.join(""));
  }
});
