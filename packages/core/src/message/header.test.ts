import { describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { dateHeader, formatDate, messageIdHeader } from "./dates.ts";
import { header, headerOctets } from "./header.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { createMessage } from "./parsed-message.ts";

/** The fields that a reader finds in `text`. */
function parse(text: string) {
  return [...createMessage(createMemoryBlob([Buffer.from(`${text}\r\n`)])).headers];
}

/** RFC 2047 as a reader does it: blanks between encoded words go, octets of neighbours are joined only after decoding. */
function decodeWords(value: string): string {
  return value
    .replace(/(=\?[^?]+\?[BQ]\?[^?]*\?=)[ \t]+(?==\?)/g, "$1")
    .replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/g, (_, encoding: string, text: string) =>
      encoding === "B"
        ? Buffer.from(text, "base64").toString()
        : decodeURIComponent(text.replaceAll("_", " ").replaceAll("%", "%25").replaceAll("=", "%")),
    );
}

const hostileValues: readonly string[] = [
  "",
  " ",
  "plain",
  "a\r\nX-Injected: yes",
  "a\nX-Injected: yes\n\nbody",
  "a\r\rb\0c\u007fd\u0085e\u2028f",
  "\r\n\r\n.\r\nMAIL FROM:<>",
  "half \ud83d pair",
  "x".repeat(5000),
  "ü".repeat(5000),
  "😀".repeat(5000),
  `${"word ".repeat(1000)}end`,
  `${"größe ".repeat(1000)}end`,
  `a${" ".repeat(100_000)}b`,
  `a${" ".repeat(2000)}b`,
  " x".repeat(100_000),
  "x".repeat(1_000_000),
  "\r\n".repeat(500_000),
];

describe("header", () => {
  it.each([
    ["Subject", "hello", "Subject: hello\r\n"],
    ["Subject", "", "Subject:\r\n"],
    ["Subject", "  hello\t ", "Subject: hello\r\n"],
    ["Subject", "two\r\n lines", "Subject: two  lines\r\n"],
    ["Sub ject:\r\nX", "hello", "Sub-ject-X: hello\r\n"],
    ["", "hello", "X-Unnamed: hello\r\n"],
    ["Grüße", "hello", "Gr-e: hello\r\n"],
    ["Subject", "[ext] Grüße aus Köln", "Subject: [ext] =?utf-8?B?R3LDvMOfZQ==?= aus =?utf-8?B?S8O2bG4=?=\r\n"],
    ["Subject", "Übergabe-Protokoll!", "Subject: =?utf-8?Q?=C3=9Cbergabe-Protokoll!?=\r\n"],
    ["Subject", "größere Höhe", "Subject: =?utf-8?B?Z3LDtsOfZXJlIEjDtmhl?=\r\n"],
    ["Subject", "例子 例子", "Subject: =?utf-8?B?5L6L5a2QIOS+i+WtkA==?=\r\n"],
  ])("%j: %j", (name, value, expected) => {
    expect(header(name, value)).toBe(expected);
  });

  it("keeps UTF-8 where the message may have it", () => {
    expect(header("Subject", "Grüße", { utf8: true })).toBe("Subject: Grüße\r\n");
  });

  it("folds at blanks beyond 78 and keeps them", () => {
    const value = `${"lorem  ipsum ".repeat(20)}end`;
    const text = header("X-Long", value);
    for (const line of text.trimEnd().split("\r\n")) expect(line.length).toBeLessThanOrEqual(78);
    expect(parse(text)[0]?.value).toBe(value);
  });

  describe.each([{ utf8: false }, { utf8: true }])("with %j", (options) => {
    it.each(hostileValues.map((value) => [`${JSON.stringify(value.slice(0, 30))} (${value.length})`, value] as const))(
      "makes one field of %s",
      (_, value) => {
        const text = header("X-Test", value, options);
        expect(parse(text).map(({ name }) => name)).toEqual(["X-Test"]);
        expect(text.endsWith("\r\n")).toBe(true);
        expect(text.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(text)).toBeLessThan(256 * 1024);
        const lines = text.slice(0, -2).split("\r\n");
        for (const [at, line] of lines.entries()) {
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(998);
          expect(line).not.toMatch(options.utf8 ? /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/ : /[^\u0020-\u007e]/);
          if (at > 0) expect(line).toMatch(/^ +[^ ]/);
        }
      },
    );
  });

  it.each(["x", "ü", "😀"])("cuts a value at 64 KiB, between characters: %s", (character) => {
    const value = parse(header("X", character.repeat(100_000), { utf8: true }))[0]?.value.replaceAll(" ", "") ?? "";
    expect(Buffer.byteLength(value)).toBe(64 * 1024);
    expect(value).not.toContain("\ufffd");
  });

  it("is read back as it was given", () => {
    const random = randomFrom(4);
    const words = ["a", "lorem", "ipsum-dolor", "größe", "例子", "😀😀", "=_?", "x".repeat(60), "ü".repeat(80)];
    for (let round = 0; round < 1000; round++) {
      const count = 1 + Math.floor(random() * 12);
      const value = Array.from({ length: count }, () => words[Math.floor(random() * words.length)]).join(
        random() < 0.3 ? "  " : " ",
      );
      expect(decodeWords(parse(header("Subject", value))[0]?.value ?? "")).toBe(value);
      expect(parse(header("Subject", value, { utf8: true }))[0]?.value).toBe(value);
      for (const encoded of header("Subject", value).match(/=\?[^ ]*\?=/g) ?? []) {
        expect(encoded.length).toBeLessThanOrEqual(75);
      }
    }
  });

  it("takes what is no string", () => {
    expect(header(7 as never, Object.create(null) as never)).toBe("7: (unprintable)\r\n");
  });
});

describe("dates", () => {
  it("are RFC 5322's, in UTC, and change with the second", () => {
    expect(formatDate(Date.UTC(2026, 0, 1))).toBe("Thu, 01 Jan 2026 00:00:00 +0000 (UTC)");
    expect(formatDate(Date.UTC(2026, 0, 1) + 999)).toBe("Thu, 01 Jan 2026 00:00:00 +0000 (UTC)");
    expect(formatDate(Date.UTC(2026, 0, 1) + 1000)).toBe("Thu, 01 Jan 2026 00:00:01 +0000 (UTC)");
    expect(dateHeader(Date.UTC(2024, 1, 29, 23, 59, 59))).toBe("Date: Thu, 29 Feb 2024 23:59:59 +0000 (UTC)\r\n");
  });

  it("and ids are there for messages without", () => {
    const options = { id: "4abc", hostname: "mx.example.test", nowMs: Date.UTC(2026, 0, 2, 3, 4, 5) };
    expect(messageIdHeader(options)).toBe("Message-ID: <20260102030405.4abc@mx.example.test>\r\n");
  });
});

describe("octets of somebody else's making", () => {
  it.each<[what: string, value: string, field: string]>([
    ["a signature keeps its folds", "v=1; b=abc\r\n\tdef\r\n  ghi", "X: v=1; b=abc\r\n\tdef\r\n  ghi\r\n"],
    ["LF alone folds too", "a\n\tb", "X: a\r\n\tb\r\n"],
    ["a line that would be a field is a fold", "a\r\nBcc: x", "X: a\r\n\tBcc: x\r\n"],
    ["a blank line would end the section", "a\r\n\r\nbody\r\n \r\n", "X: a\r\n\tbody\r\n"],
    ["8-bit octets stay", "K\u00e4se \u00ff", "X: K\u00e4se \u00ff\r\n"],
    ["control characters go", "a\0\u0007b\tc", "X: a b\tc\r\n"],
    ["its own blank", "\ta", "X:\ta\r\n"],
    ["folded before the first word", " \n\t* 1", "X: \r\n\t* 1\r\n"],
    ["nothing", "", "X:\r\n"],
    ["a blank", " ", "X:\r\n"],
    ["too long a line", "x".repeat(1000), `X: ${"x".repeat(995)}\r\n ${"x".repeat(5)}\r\n`],
  ])("%s", (_, value, field) => {
    expect(headerOctets("X", Buffer.from(value, "latin1")).toString("latin1")).toBe(field);
  });

  it("is one field whatever it is given", () => {
    for (const value of hostileValues) {
      const field = headerOctets("X: \r\nY", Buffer.from(value)).toString("latin1");
      expect(parse(field)).toHaveLength(1);
      expect(field).not.toMatch(/\r\n[ \t]*\r\n|[^\r]\n|\r[^\n]/);
      expect(Math.max(...field.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(998);
    }
  });
});
