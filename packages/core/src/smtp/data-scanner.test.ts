// The scanner of DATA against a model that goes line by line, in many cuts; the smuggling sequences; its cost on dots.
import { describe, expect, test } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { DataScanner } from "./data-scanner.ts";
import { LineEndingNormalizer } from "../message/index.ts";
import { LineEndingCheck } from "./line-endings.ts";

interface Scanned {
  readonly content: string;
  /** What stands behind the end; `undefined` when no end was found. */
  readonly rest: string | undefined;
  readonly fault: string | undefined;
}

function scan(chunks: readonly string[]): Scanned {
  const check = new LineEndingCheck();
  const scanner = new DataScanner(check);
  const parts: Buffer[] = [];
  let rest: string | undefined;
  for (const text of chunks) {
    if (scanner.finished) {
      rest += text;
      continue;
    }
    const chunk = Buffer.from(text, "latin1");
    const at = scanner.scan(chunk, 0, parts);
    if (scanner.finished) rest = chunk.toString("latin1", at);
  }
  return { content: Buffer.concat(parts).toString("latin1"), rest, fault: check.fault };
}

/** RFC 5321 §4.5.2 by the letter, line by line; only CRLF ends a line. */
function model(text: string): Scanned {
  let content = "";
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    const line = end < 0 ? text.slice(at) : text.slice(at, end + 2);
    if (line === ".\r\n") return { content, rest: text.slice(at + 3), fault: faultOf(content) };
    // An unfinished line that may yet become the end has given nothing but its dot away.
    if (line === "." || line === ".\r") return { content, rest: undefined, fault: faultOf(content) };
    content += line.startsWith(".") ? line.slice(1) : line;
    if (end < 0) return { content, rest: undefined, fault: faultOf(content) };
    at = end + 2;
  }
}

function faultOf(content: string): string | undefined {
  const match = /(?<!\r)\n|\r(?!\n)/.exec(content);
  if (match !== null) return match[0] === "\n" ? "bareLf" : "bareCr";
  return content.includes("\0") ? "nul" : undefined;
}

const cuts = {
  whole: (text: string) => [text],
  bytewise: (text: string) => Array.from(text),
  halves: (text: string) => [text.slice(0, text.length / 2), text.slice(text.length / 2)],
};

describe.each(Object.entries(cuts))("%s", (_, cut) => {
  test.each([
    ["\n.\n", "bareLf"],
    ["\n.\r\n", "bareLf"],
    ["\r.\r", "bareCr"],
    ["\r\n.\n", "bareLf"],
    ["\r.\r\n", "bareCr"],
    ["\r\n.\r", "bareCr"],
    ["\r\n.\0\r\n", "nul"],
    ["\r\n.\r\r\n", "bareCr"],
    ["\n\n.\r\n", "bareLf"],
    ["\r\r\n.\r\r\n", "bareCr"],
  ])("smuggling by %j does not end the message and is told", (sequence, fault) => {
    const text = `a${sequence}MAIL FROM:<evil@there.test>\r\n`;
    const scanned = scan(cut(`${text}.\r\nQUIT\r\n`));
    expect(scanned.rest).toBe("QUIT\r\n");
    expect(scanned.fault).toBe(fault);
  });

  test.each([
    ["", undefined],
    [".\r\n", { content: "", rest: "" }],
    ["a\r\n.\r\nb", { content: "a\r\n", rest: "b" }],
    ["..\r\n.\r\n", { content: ".\r\n", rest: "" }],
    [".x\r\n.\r\n", { content: "x\r\n", rest: "" }],
    ["..x\r\n..\r\n....\r\n.\r\n.\r\n", { content: ".x\r\n.\r\n...\r\n", rest: ".\r\n" }],
    ["a\r\n\r\n.\r\n", { content: "a\r\n\r\n", rest: "" }],
  ])("%j", (text, expected) => {
    const scanned = scan(cut(text));
    expect(scanned.rest).toBe(expected?.rest);
    if (expected !== undefined) expect(scanned.content).toBe(expected.content);
    expect(scanned.fault).toBeUndefined();
  });
});

test("random content, randomly cut, is what the model says", () => {
  const draw = randomFrom(1);
  const random = (below: number): number => Math.floor(draw() * below);
  const pieces = ["\r\n", "\r\n", ".", "a", "\r", "\n", "\r\n.\r\n", "\r\n..", "\0", "bc"];
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join("");
    const chunks: string[] = [];
    for (let at = 0; at < text.length;) {
      const next = at + 1 + random(6);
      chunks.push(text.slice(at, next));
      at = next;
    }
    const expected = model(text);
    const scanned = scan(chunks);
    expect({ text, content: scanned.content, rest: scanned.rest }).toEqual({
      text,
      content: expected.content,
      rest: expected.rest,
    });
    // Which fault is told first may depend on the cuts; that there is one may not. An end that did not come may still bring one.
    if (expected.rest !== undefined)
      expect([text, scanned.fault !== undefined]).toEqual([text, expected.fault !== undefined]);
  }
});

test("a fault is told wherever it stands in a piece, and nothing else is one", () => {
  const windowBytes = 64 * 1024;
  // Line ends fall on every place of a vector, and across the end of the search's memory.
  for (const first of [0, 1, 2, 3]) {
    const text = "y".repeat(first) + "abc\r\n".repeat(windowBytes / 4);
    const near = (place: number): number[] => Array.from({ length: 40 }, (_, index) => place - 20 + index);
    const places = [...near(20), ...near(windowBytes), ...near(text.length - 20)];
    expect(faultIn(text)).toBeUndefined();
    for (const place of places) {
      for (const octet of ["\0", "\r", "\n"]) {
        const changed = text.slice(0, place) + octet + text.slice(place + 1);
        expect([place, octet, faultIn(changed) !== undefined]).toEqual([place, octet, faultOf(changed) !== undefined]);
      }
    }
  }
});

test("a dot behind CRLF is found wherever it stands in a chunk, with and without a check", () => {
  const windowBytes = 64 * 1024;
  const wrongs = ["", "\0", "\n", "\r"];
  for (const wrong of wrongs) {
    for (let shift = -20; shift < 20; shift += 1) {
      const before = `${wrong}${"a\r\n".repeat(3)}`.padStart(windowBytes + shift, "x");
      const text = `${before}\r\n..b\r\n.c\r\n.\r\nrest`;
      const expected = model(text);
      const scanned = scan([text]);
      expect([shift, scanned.content === expected.content, scanned.rest, scanned.fault]).toEqual([
        shift,
        true,
        "rest",
        expected.fault,
      ]);
      const parts: Buffer[] = [];
      const chunk = Buffer.from(text, "latin1");
      expect(new DataScanner().scan(chunk, 0, parts)).toBe(chunk.length - "rest".length);
      expect(Buffer.concat(parts).toString("latin1")).toBe(expected.content);
    }
  }
});

test("what stands before the start is not part of it", () => {
  const parts: Buffer[] = [];
  const scanner = new DataScanner();
  scanner.scan(Buffer.from("a"), 0, parts);
  scanner.scan(Buffer.from("\r\n"), 1, parts);
  scanner.scan(Buffer.from(".\r\n"), 0, parts);
  expect(scanner.finished).toBe(false);
});

function faultIn(text: string): string | undefined {
  const check = new LineEndingCheck();
  check.check(Buffer.from(text, "latin1"));
  check.end();
  return check.fault;
}

test("smtp-server fault 14: a message of stuffed dots costs neither an object nor a turn a line", () => {
  const parts: Buffer[] = [];
  const scanner = new DataScanner(new LineEndingCheck());
  scanner.scan(Buffer.from("..\r\n".repeat(16_384)), 0, parts);
  expect(parts).toHaveLength(1);
  expect(parts[0]?.toString()).toBe(".\r\n".repeat(16_384));
});

test("plain content is handed on uncopied", () => {
  const chunk = Buffer.from("a\r\nb\r\n.c\r\nd\r\n");
  const parts: Buffer[] = [];
  new DataScanner(new LineEndingCheck()).scan(chunk, 0, parts);
  expect(parts.map((part) => part.buffer === chunk.buffer)).toEqual([true, true]);
});

test.each([
  ["a\nb\rc\r\nd\r", "a\r\nb\r\nc\r\nd\r\n"],
  ["\r\r\n\n", "\r\n\r\n\r\n"],
  ["plain\r\n", "plain\r\n"],
])("normalize %j whole and bytewise", (text, expected) => {
  for (const chunks of [[text], Array.from(text)]) {
    const normalizer = new LineEndingNormalizer();
    const pieces = chunks.map((chunk) => normalizer.normalize(Buffer.from(chunk, "latin1")));
    const end = normalizer.end();
    expect(Buffer.concat(end === undefined ? pieces : [...pieces, end]).toString("latin1")).toBe(expected);
  }
});
