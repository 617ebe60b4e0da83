// What parts say of themselves, as it is written in the wild.
import { describe, expect, it } from "vitest";
import { decodeWords } from "./decoded-words.ts";
import { encodeWords } from "./encoded-word.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { parseStructured } from "./mime-parameters.ts";
import { readDisposition, readFileName, readMediaType, readTransferEncoding } from "./mime-type.ts";
import { createMessage } from "./parsed-message.ts";

describe("a field with parameters", () => {
  const cases: readonly [value: string, word: string, parameters: Readonly<Record<string, string>>][] = [
    ["text/plain", "text/plain", {}],
    ["Text/HTML ; Charset=UTF-8", "text/html", { charset: "UTF-8" }],
    ["text/plain (a ; comment (nested)) ; (here) charset (there) = (everywhere) us-ascii (too)", "text/plain", { charset: "us-ascii" }],
    ["text / plain", "text/plain", {}],
    ['text/plain; name="a;b\\"c\\\\d"', "text/plain", { name: 'a;b"c\\d' }],
    ['text/plain; name="C:\\dir\\file.txt"', "text/plain", { name: "C:\\dir\\file.txt" }],
    ['text/plain; name="never closed; a=b', "text/plain", { name: "never closed; a=b" }],
    ["text/plain; name=with blanks.doc; a=b", "text/plain", { name: "with blanks.doc", a: "b" }],
    ['text/plain; name="a"trash; b=c', "text/plain", { name: "a", b: "c" }],
    [";;a=1;;b=2;", "", { a: "1", b: "2" }],
    ["text/plain; a; b=; =c; d=e=f", "text/plain", { a: "", b: "", d: "e=f" }],
    ["text/plain; a=1; A=2", "text/plain", { a: "1" }],
    ["text/plain; a=(never closed", "text/plain", { a: "" }],
    ["x; name*=utf-8'en'n%C3%A4me", "x", { name: "näme" }],
    ["x; name*=ISO-8859-1''n%E4me", "x", { name: "näme" }],
    ["x; name*=unheard-of''n%C3%A4me", "x", { name: "näme" }],
    ["x; name*=plain", "x", { name: "plain" }],
    ["x; name*0=long; name*1=-er; name*2*=%20name", "x", { name: "long-er name" }],
    ["x; name*1=b; name*0*=utf-8''%C3; name*2*=%A4", "x", { name: "\ufffdb\ufffd" }],
    ["x; name*0*=utf-8''%C3; name*1*=%A4", "x", { name: "ä" }],
    ["x; name*0=a; name*2=c", "x", { name: "a" }],
    ["x; name*1=b", "x", { name: "" }],
    ["x; name*0=a; name*0=b; name*1=c", "x", { name: "ac" }],
    ["x; name=old; name*=utf-8''new", "x", { name: "new" }],
    ["x; name*x=odd; *=1", "x", { "name*x": "odd", "*": "1" }],
    ["x; name*99999999=huge", "x", { "name*99999999": "huge" }],
    ["x; name*=utf-8''100%", "x", { name: "100%" }],
  ]; // prettier-ignore
  it.each(cases)("%s", (value, word, parameters) => {
    const parsed = parseStructured(value);
    expect([parsed.word, Object.fromEntries(parsed.parameters)]).toEqual([word, parameters]);
  });

  it.each([
    ["comments", "(".repeat(500_000)],
    ["comments that close", "()".repeat(250_000)],
    ["semicolons", ";".repeat(500_000)],
    ["quotes", ';a="'.repeat(125_000)],
    ["backslashes", `;a="${"\\".repeat(500_000)}`],
    ["segments", Array.from({ length: 30_000 }, (_, at) => `;a*${30_000 - at}=b`).join("")],
    ["percents", `;a*=''${"%C3".repeat(150_000)}`],
    ["blanks", `;a=${" ".repeat(500_000)}`],
    ["stars", `;${"*".repeat(500_000)}=`],
  ])("costs no more than its length: %s", (_, value) => {
    const started = process.cpuUsage();
    expect(parseStructured(value).parameters.size).toBeLessThan(200_000);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(20);
  });
});

describe("of a part's header", () => {
  const read = (...fields: string[]) => {
    const { headers } = createMessage(createMemoryBlob([Buffer.from(`${fields.join("\r\n")}\r\n\r\n`)]));
    const type = readMediaType(headers);
    return [type.essence, readTransferEncoding(headers), readFileName(type, readDisposition(headers))];
  };
  const cases: readonly [what: string, fields: readonly string[], expected: readonly (string | undefined)[]][] = [
    ["nothing said", [], ["text/plain", "7bit", undefined]],
    ["a type without a slash", ["Content-Type: text"], ["text/plain", "7bit", undefined]],
    ["a type of nonsense", ["Content-Type: a/b/c; name=x"], ["text/plain", "7bit", "x"]],
    ["two types: the first", ["Content-Type: text/html", "Content-Type: image/png"], ["text/html", "7bit", undefined]],
    ["folding", ["Content-Type: text/html;", '\tname="a', ' b"'], ["text/html", "7bit", "a b"]],
    ["an encoding with a comment", ["Content-Transfer-Encoding: Base64 (of course)"], ["text/plain", "base64", undefined]],
    ["the disposition's name before the type's", ["Content-Type: a/b; name=x", "Content-Disposition: attachment; filename=y"], ["a/b", "7bit", "y"]],
    ["encoded words in a name", ['Content-Disposition: attachment; filename="=?utf-8?Q?n=C3=A4me?= =?utf-8?B?LmV4ZQ==?="'], ["text/plain", "7bit", "näme.exe"]],
    ["8-bit in a name", ['Content-Disposition: attachment; filename="näme"'], ["text/plain", "7bit", "näme"]],
  ]; // prettier-ignore
  it.each(cases)("%s", (_, fields, expected) => {
    expect(read(...fields)).toEqual(expected);
  });
});

describe("encoded words", () => {
  const cases: readonly [encoded: string, text: string][] = [
    ["plain", "plain"],
    ["=?utf-8?q?a_b=3D?=", "a b="],
    ["=?UTF-8*en?B?w6Q=?=", "ä"],
    ["=?iso-8859-1?q?=E4?= and =?koi8-r?b?8NLJ18XU?=", "ä and Привет"],
    ["=?utf-8?b?w6Q=?=  =?utf-8?q?_?=\t=?utf-8?q?x?=", "ä x"],
    ["a character cut in two: =?utf-8?q?=C3?= =?utf-8?q?=A4?=", "a character cut in two: ä"],
    ["=?utf-8?x?odd?= =?utf-8?q?with blank?= =?=", "=?utf-8?x?odd?= =?utf-8?q?with blank?= =?="],
    ["=?unheard-of?q?=C3=A4?=", "ä"],
    ["in=?utf-8?q?side?=a word", "insidea word"],
  ];
  it.each(cases)("%s", (encoded, text) => {
    expect(decodeWords(encoded)).toBe(text);
  });

  it("undo what was encoded here", () => {
    for (const text of ["ä", "plain ä plain", "日本語 ".repeat(40).trim(), "😀".repeat(100)]) {
      expect(decodeWords(encodeWords(text))).toBe(text);
    }
  });

  it.each(["=?", "=?a?q?", "=?a*?", "?=", "=?utf-8?q?x?= "])("cost no more than their length: %s", (piece) => {
    const started = process.cpuUsage();
    expect(decodeWords(piece.repeat(100_000)).length).toBeGreaterThan(0);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(20);
  });
});
