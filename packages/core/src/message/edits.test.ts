import { describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { applyEdits, prependFields, type Edited } from "./edits.ts";
import { header } from "./header.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { isPromise } from "../model/maybe-promise.ts";
import type { Edit, Message } from "./message.ts";
import { createMessage } from "./parsed-message.ts";

const messageOf = (...chunks: string[]) =>
  createMessage(createMemoryBlob(chunks.map((chunk) => Buffer.from(chunk, "latin1"))));
const textOf = (message: Message) => Buffer.concat([...(message.raw.chunks ?? [])]).toString("latin1");

/** A message in memory is edited at once. */
const applyNow = (message: Message, edits: readonly Edit[]): Edited => {
  const edited = applyEdits(message, edits);
  if (isPromise(edited)) throw new Error("a promise");
  return edited;
};
const prepend = (name: string, value: string): Edit => ({ kind: "prependHeader", name, value });
const append = (name: string, value: string): Edit => ({ kind: "appendHeader", name, value });
const replace = (name: string, value: string, nth?: number): Edit =>
  nth === undefined ? { kind: "replaceHeader", name, value } : { kind: "replaceHeader", name, value, nth };
const remove = (name: string, nth?: number): Edit =>
  nth === undefined ? { kind: "deleteHeader", name } : { kind: "deleteHeader", name, nth };
const insert = (index: number, name: string, value: string): Edit => ({ kind: "insertHeader", index, name, value });
const splice = (start: number, end: number, text = ""): Edit => ({
  kind: "spliceBody",
  start,
  end,
  octets: Buffer.from(text, "latin1"),
});
const body = (text: string): Edit => ({ kind: "replaceBody", body: Buffer.from(text, "latin1") });

const raw = "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\n\r\nbody\r\n";

describe("applyEdits", () => {
  const cases: readonly [what: string, edits: readonly Edit[], expected: string, given?: string][] = [
    ["nothing", [], raw],
    ["prepend", [prepend("X", "y")], `X: y\r\n${raw}`],
    ["the last prepended is on top", [prepend("X", "1"), prepend("Y", "2")], `Y: 2\r\nX: 1\r\n${raw}`],
    ["append", [append("X", "y")], "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\nX: y\r\n\r\nbody\r\n"],
    ["delete all of a name", [remove("a")], "B:  2\r\n\t3 \r\nnonsense\r\n\r\nbody\r\n"],
    ["delete the second", [remove("A", 2)], "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\n\r\nbody\r\n"],
    ["delete with its folding", [remove("b")], "A: 1\r\nnonsense\r\na : 4\r\n\r\nbody\r\n"],
    ["replace all", [replace("A", "x")], "A: x\r\nB:  2\r\n\t3 \r\nnonsense\r\nA: x\r\n\r\nbody\r\n"],
    ["replace the first", [replace("a", "x", 1)], "a: x\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\n\r\nbody\r\n"],
    ["what is not there", [remove("C"), remove("A", 3), remove("A", 0), replace("C", "x"), remove("")], raw],
    ["each sees the result so far", [prepend("A", "0"), replace("A", "x", 2), remove("A", 3), append("A", "9"), remove("A", 1)], "A: x\r\nB:  2\r\n\t3 \r\nnonsense\r\nA: 9\r\n\r\nbody\r\n"], // prettier-ignore
    [
      "a replaced field can be deleted by its name",
      [replace("B", "x"), remove("b")],
      "A: 1\r\nnonsense\r\na : 4\r\n\r\nbody\r\n",
    ],
    ["body", [body("new\r\n")], "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\n\r\nnew\r\n"],
    [
      "the last body stands",
      [body("1"), prepend("X", "y"), body("2")],
      "X: y\r\nA: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\n\r\n2",
    ],
    ["a body without line ends of its own", [body("a\nb\rc\r\n\n")], "A: 1\r\n\r\na\r\nb\r\nc\r\n\r\n", "A: 1\r\n\r\n"],
    ["everything gone", [remove("A"), body("")], "\r\n", "A: 1\r\n\r\nbody"],
    ["into nothing", [append("X", "y")], "X: y\r\n", ""],
    ["a body into nothing", [body("x")], "\r\nx", ""],
    ["no blank line", [append("X", "y")], "A: 1\r\nX: y\r\n", "A: 1\r\n"],
    ["no blank line, new body", [body("x")], "A: 1\r\n\r\nx", "A: 1\r\n"],
    ["unfinished line", [append("X", "y")], "A: 1\r\nX: y\r\n", "A: 1"],
    ["unfinished line, new body", [body("x")], "A: 1\r\n\r\nx", "A: 1"],
    ["unfinished line, field on top", [prepend("X", "y")], "X: y\r\nA: 1", "A: 1"],
    ["no fields", [append("X", "y")], "X: y\r\n\r\nbody", "\r\nbody"],
    [
      "a first line that would continue ours",
      [prepend("X", "y")],
      "X: y\r\n\r\n forged\r\nA: 1\r\n\r\n",
      " forged\r\nA: 1\r\n\r\n",
    ],
    ["the same, appended", [append("X", "y")], "X: y\r\n\r\n forged\r\nA: 1\r\n\r\n", " forged\r\nA: 1\r\n\r\n"],
    ["the same, by a tab", [prepend("X", "y"), append("Y", "z")], "X: y\r\nY: z\r\n\r\n\tforged", "\tforged"],
    ["insert at the top", [insert(0, "X", "y")], `X: y\r\n${raw}`],
    ["insert, lines that are no fields counted", [insert(3, "X", "y")], "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\nX: y\r\na : 4\r\n\r\nbody\r\n"], // prettier-ignore
    ["insert beyond the end", [insert(99, "X", "y")], "A: 1\r\nB:  2\r\n\t3 \r\nnonsense\r\na : 4\r\nX: y\r\n\r\nbody\r\n"], // prettier-ignore
    ["what is inserted counts", [remove("a", 2), insert(1, "A", "x"), remove("A", 2), insert(0, "A", "0"), replace("a", "z", 2)], "A: 0\r\na: z\r\nB:  2\r\n\t3 \r\nnonsense\r\n\r\nbody\r\n"], // prettier-ignore
    ["splices of the body as it was", [splice(4, 4, "!"), splice(0, 1, "B"), splice(1, 3)], "A: 1\r\n\r\nBy!\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["insertions at one place in their order, above what is replaced there", [splice(0, 2, "3"), splice(0, 0, "1"), splice(0, 0, "2")], "A: 1\r\n\r\n123dy\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["overlapping splices take out what any of them does", [splice(0, 3, "x"), splice(1, 4, "y"), splice(2, 3, "z")], "A: 1\r\n\r\nxyz\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["beyond the end", [splice(6, 99, "x\r\n"), splice(1000, 1001, "y")], "A: 1\r\n\r\nbody\r\nx\r\ny", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["a splice beside a new body", [splice(0, 1, "x"), body("new\r\n"), splice(0, 1, "y")], "A: 1\r\n\r\nnew\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["a splice and a field", [splice(0, 4, "text"), append("X", "y")], "A: 1\r\nX: y\r\n\r\ntext\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["a body where there was none", [splice(0, 0, "x\r\n")], "A: 1\r\n\r\nx\r\n", "A: 1"],
    ["everything spliced away", [splice(0, 6)], "A: 1\r\n\r\n", "A: 1\r\n\r\nbody\r\n"],
    ["half a line end taken away", [splice(5, 6)], "A: 1\r\n\r\nbody\r\n", "A: 1\r\n\r\nbody\r\n"],
    ["the other half", [splice(4, 5)], "A: 1\r\n\r\nbody\r\n", "A: 1\r\n\r\nbody\r\n"],
    ["something between CR and LF", [splice(5, 5, "x")], "A: 1\r\n\r\nbody\r\nx\r\n", "A: 1\r\n\r\nbody\r\n"],
    ["a smuggled end of data", [splice(4, 5, "\n."), splice(6, 6, ".\r")], "A: 1\r\n\r\nbody\r\n.\r\n.\r\n", "A: 1\r\n\r\nbody\r\n"], // prettier-ignore
    ["a body that begins with LF", [splice(0, 5)], "A: 1\r\n\r\n\r\n", "A: 1\r\n\r\nbody\r\n"],
    ["an injection", [prepend("X\r\nY", "a\r\n\r\nb")], `X-Y: a b\r\n${raw}`],
    ["non-ASCII", [prepend("X", "ü")], `X: =?utf-8?B?w7w=?=\r\n${raw}`],
  ];
  it.each(cases)("%s", (_, edits, expected, given = raw) => {
    expect(textOf(applyNow(messageOf(given), edits).message)).toBe(expected);
    // Alone or after something that had it parsed: the same.
    expect(textOf(applyNow(messageOf(given), [remove("absent"), ...edits]).message)).toBe(expected);
  });

  it("gives the envelope's edits back in order, and the same message when nothing else was said", () => {
    const message = messageOf(raw);
    const edits: readonly Edit[] = [
      { kind: "addRecipient", address: "a@example.test" },
      { kind: "changeSender", address: "" },
      { kind: "removeRecipient", address: "b@example.test" },
    ];
    const edited = applyNow(message, edits);
    expect(edited.envelope).toEqual(edits);
    expect(edited.message).toBe(message);
  });

  it("leaves the original as it was, and its octets uncopied", () => {
    // Not from the pool that small buffers share.
    const octets = Buffer.alloc(raw.length, raw, "latin1");
    const message = createMessage(createMemoryBlob([octets]));
    const edited = applyNow(message, [remove("B"), append("X", "y"), prepend("Z", "z")]).message;
    expect(textOf(message)).toBe(raw);
    const shared = edited.raw.chunks?.filter(({ buffer }) => buffer === octets.buffer) ?? [];
    expect(shared.map(String)).toEqual(["A: 1\r\n", "nonsense\r\na : 4\r\n", "\r\nbody\r\n"]);
  });

  it("puts fields into a header section beyond the limit without ending it", () => {
    const message = createMessage(createMemoryBlob([Buffer.from(raw)]), { maxHeaderBytes: 8 });
    expect(textOf(applyNow(message, [append("X", "y"), prepend("Z", "z")]).message)).toBe(
      `Z: z\r\nA: 1\r\nX: y\r\n${raw.slice(6)}`,
    );
  });

  it("agrees with a plain model about random messages and edits", () => {
    const random = randomFrom(5);
    const below = (limit: number) => Math.floor(random() * limit);
    const names = ["A", "a", "B", "X"];
    const name = () => names[below(names.length)] ?? "A";
    for (let round = 0; round < 2000; round++) {
      const fields = Array.from(
        { length: below(6) },
        () => `${name()}: ${below(100)}${random() < 0.3 ? "\r\n  fold" : ""}\r\n`,
      );
      const content = `\r\n${"body\r\n".repeat(below(3))}`;
      const model = { fields: [...fields], content };
      const edits = Array.from({ length: below(9) }, (): Edit => {
        const target = name();
        const nth = random() < 0.5 ? undefined : below(3);
        const value = `v${below(100)}`;
        const at = model.fields.flatMap((field, index) =>
          field.toLowerCase().startsWith(`${target.toLowerCase()}:`) ? [index] : [],
        );
        const chosen = new Set(nth === undefined ? at : at.filter((_, order) => order === nth - 1));
        switch (below(6)) {
          case 5: {
            const index = below(8);
            model.fields.splice(index, 0, `${target}: ${value}\r\n`);
            return { kind: "insertHeader", index, name: target, value };
          }
          case 0:
            model.fields.unshift(`${target}: ${value}\r\n`);
            return prepend(target, value);
          case 1:
            model.fields.push(`${target}: ${value}\r\n`);
            return append(target, value);
          case 2:
            model.fields = model.fields.filter((_, index) => !chosen.has(index));
            return remove(target, nth);
          case 3:
            model.fields = model.fields.map((field, index) => (chosen.has(index) ? `${target}: ${value}\r\n` : field));
            return replace(target, value, nth);
          default:
            model.content = `\r\n${value}\r\n`;
            return body(`${value}\r\n`);
        }
      });
      const given = fields.join("") + content;
      const cut = below(given.length);
      const { message } = applyNow(messageOf(given.slice(0, cut), given.slice(cut)), edits);
      expect(textOf(message)).toBe(model.fields.join("") + model.content);
      expect(Array.from(message.headers, (field) => field.raw.toString())).toEqual(model.fields);
    }
  });
});

it("edits of sixty thousand names take no time that anybody would notice", () => {
  const names = Array.from({ length: 60_000 }, (_, at) => `X-${at.toString(36)}`);
  const message = messageOf(`${names.map((name) => `${name}:\r\n`).join("")}\r\n`);
  const kept = names.slice(0, 2);
  const edits: Edit[] = [
    ...names.slice(2).map((name) => remove(name)),
    ...names.map((name) => replace(name, "new", 1)),
    ...kept.map((name) => append(name, "more")),
  ];
  expect(textOf(applyNow(message, edits).message)).toBe(
    `${kept.map((name) => `${name}: new\r\n`).join("")}${kept.map((name) => `${name}: more\r\n`).join("")}\r\n`,
  );
});

it("prependFields puts the first uppermost", () => {
  const message = prependFields(messageOf("A: 1\r\n\r\n"), header("X", "1"), header("Y", "2"));
  expect(textOf(message)).toBe("X: 1\r\nY: 2\r\nA: 1\r\n\r\n");
});
