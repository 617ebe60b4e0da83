import { expect, test } from "vitest";
import { applyEdits } from "./edits.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { createMessage } from "./parsed-message.ts";
import { tagSubject } from "./tag-subject.ts";

const encoded = "=?utf-8?B?xI1lc2vDvSBwxZllZG3Em3Q=?=\r\n =?utf-8?Q?=C3=A9?=";

test.each([
  ["plain", "Subject: hello", "Subject: [spam] hello"],
  ["without a blank", "Subject:hello", "Subject: [spam] hello"],
  ["encoded and folded", `Subject: ${encoded}`, `Subject: [spam] ${encoded}`],
  ["folded before its value", "Subject:\r\n hello", "Subject: [spam]\r\n hello"],
  ["octets of nobody knows which charset", "SUBJECT: \xe9\xff", "Subject: [spam] \xe9\xff"],
  ["empty", "Subject:", "Subject: [spam]"],
  ["tagged already", "Subject: [spam] hello", "Subject: [spam] hello"],
  ["two of them", "Subject: a\r\nX: y\r\nsubject: b", "Subject: [spam] a\r\nX: y\r\nSubject: [spam] b"],
  ["two, one tagged", "Subject: [spam] a\r\nSubject: b", "Subject: [spam] a\r\nSubject: [spam] b"],
  ["none", "X: y", "X: y\r\nSubject: [spam]"],
])("%s", async (_, given, expected) => {
  const open = (header: string) =>
    createMessage(createMemoryBlob([Buffer.from(`${header}\r\n\r\nbody\r\n`, "latin1")]));
  const textOf = (message: ReturnType<typeof open>) => Buffer.concat(message.raw.chunks ?? []).toString("latin1");
  const { message } = await applyEdits(open(given), tagSubject(open(given), "[spam]"));
  expect(textOf(message).replace(/[ \t]+\r\n\r\n/, "\r\n\r\n")).toBe(`${expected}\r\n\r\nbody\r\n`);
  // Once is enough.
  expect(tagSubject(message, "[spam]")).toEqual([]);
});

test("a tag beyond ASCII is an encoded word", () => {
  const message = createMessage(createMemoryBlob([Buffer.from("Subject: x\r\n\r\n")]));
  const [edit] = tagSubject(message, "[žaloba]");
  expect(edit?.kind === "replaceHeader" && Buffer.from(edit.value).toString()).toMatch(/^=\?utf-8\?[QB]\?\S+\?= x$/);
});
