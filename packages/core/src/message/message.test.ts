import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Blob } from "./blob.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { createFileBlob } from "./file-blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import { countReceived } from "./parsed-headers.ts";
import { createMessage, openMessage } from "./parsed-message.ts";

let directory: string;
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), "postern-message-"))));
afterAll(() => rm(directory, { recursive: true }));

const memory = (...texts: string[]) => createMemoryBlob(texts.map((text) => Buffer.from(text, "latin1")));

async function textOf(blob: Blob, start?: number, end?: number): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of blob.read(start, end)) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

describe("header fields", () => {
  const cases: readonly [what: string, raw: string, fields: readonly [string, string][], body: string][] = [
    ["ordinary", "A: 1\r\nB: 2\r\n\r\nbody", [["A", "1"], ["B", "2"]], "body"], // prettier-ignore
    ["nothing", "", [], ""],
    ["no fields", "\r\nbody", [], "body"],
    ["no body", "A: 1\r\n", [["A", "1"]], ""],
    ["no body, no line end", "A: 1", [["A", "1"]], ""],
    ["an empty body", "A: 1\r\n\r\n", [["A", "1"]], ""],
    ["folding", "A: 1\r\n\t2\r\n  3\r\nB: x\r\n\r\n", [["A", "1\t2  3"], ["B", "x"]], ""], // prettier-ignore
    ["a fold before the value", "A:\r\n x\r\n\r\n", [["A", "x"]], ""],
    ["a folded line of blanks", "A: x\r\n \r\n\r\nbody", [["A", "x"]], "body"],
    ["blanks before the colon", "Subject \t: x\r\n\r\n", [["Subject", "x"]], ""],
    ["an empty value", "A:\r\nB:\r\n\r\n", [["A", ""], ["B", ""]], ""], // prettier-ignore
    ["a line without a colon", "A: 1\r\nnonsense\r\n more\r\nB: 2\r\n\r\n", [["A", "1"], ["", "nonsense more"], ["B", "2"]], ""], // prettier-ignore
    ["an mbox line", "From joe Thu Jan  1 00:00:00\r\nA: 1\r\n\r\n", [["", "From joe Thu Jan  1 00:00:00"], ["A", "1"]], ""], // prettier-ignore
    ["a name with octets beyond ASCII", "\xdcber: x\r\n\r\n", [["", "\xdcber: x"]], ""],
    ["no name", ": x\r\n\r\n", [["", ": x"]], ""],
    ["UTF-8", "A: \xc3\xbc\r\n\r\n", [["A", "ü"]], ""],
    ["latin1", "A: \xfc\r\n\r\n", [["A", "ü"]], ""],
    ["bare CR and LF are no line ends", "A: 1\nB: 2\r\r\n\r\nx", [["A", "1\nB: 2\r"]], "x"],
    ["LF LF ends nothing", "A: 1\n\nB: 2\r\n\r\nx", [["A", "1\n\nB: 2"]], "x"],
    // Were it a field, it would become a part of whatever is put on top.
    ["a continuation of nothing", " A: 1\r\nB: 2\r\n\r\nx", [], " A: 1\r\nB: 2\r\n\r\nx"],
  ];

  it.each(cases)("%s", async (_, raw, fields, body) => {
    const expected = fields.map(([name, value]) => ({ name, value }));
    // Wherever the network cut it.
    for (let at = 0; at <= raw.length; at++) {
      const message = createMessage(memory(raw.slice(0, at), raw.slice(at)));
      expect(Array.from(message.headers, ({ name, value }) => ({ name, value }))).toEqual(expected);
      expect(await textOf(message.body)).toBe(body);
    }
    const bytewise = createMessage(memory(...raw.split("")));
    expect(Array.from(bytewise.headers, ({ name, value }) => ({ name, value }))).toEqual(expected);
    const octets = Array.from(bytewise.headers, (field) => field.raw.toString("latin1")).join("");
    expect(raw.startsWith(octets)).toBe(true);
    expect(["", "\r\n"]).toContain(raw.slice(octets.length, raw.length - body.length));
  });

  it("are read in linear time, however many lines have no colon", () => {
    const raw = "a\r\n".repeat(1_400_000);
    const { headers } = createMessage(memory(raw, "\r\n"), { maxHeaderBytes: raw.length + 2 });
    expect([headers.length, headers.has("a")]).toEqual([1_400_000, false]);
  });

  it("are found by name without case, the first or all", () => {
    const { headers } = createMessage(
      memory("received: 1\r\nX: y\r\nReceived: 2\r\nnonsense\r\nRECEIVED : 3\r\n\r\nReceived: 4"),
    );
    expect(headers.length).toBe(5);
    expect(headers.get("RECEIVED")?.value).toBe("1");
    expect(headers.getAll("Received").map(({ value }) => value)).toEqual(["1", "2", "3"]);
    expect(headers.getAll("subject")).toEqual([]);
    expect([headers.has("x"), headers.has("y"), headers.has("")]).toEqual([true, false, false]);
    expect(countReceived(headers)).toBe(3);
  });

  it("end at the limit, at a whole field; the rest is body", async () => {
    const raw = "A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n\r\nbody";
    const expectations: readonly [limit: number, names: string, bodyStart: number][] = [
      [24, "ABC", 24],
      [23, "ABC", 22],
      [22, "AB", 16],
      [17, "AB", 16],
      [16, "A", 6],
      [7, "A", 6],
      [6, "", 0],
      [1, "", 0],
      [0, "", 0],
    ];
    for (const [maxHeaderBytes, names, bodyStart] of expectations) {
      const message = createMessage(memory(raw), { maxHeaderBytes });
      const found = Array.from(message.headers, ({ name }) => name).join("");
      expect([maxHeaderBytes, found, await textOf(message.body)]).toEqual([
        maxHeaderBytes,
        names,
        raw.slice(bodyStart),
      ]);
    }
  });

  it.each([
    ["blanks in a value", `A: x${" ".repeat(900_000)}y\r\n\r\n`],
    ["blanks around the colon", `A${" ".repeat(900_000)}x: y\r\n\r\n`],
    ["a value of folds", `A: x${"\r\n ".repeat(300_000)}y\r\n\r\n`],
    ["very many fields", `${"a:\r\n".repeat(250_000)}\r\n`],
    ["no line end at all", "a".repeat(3_000_000)],
    ["folds without an end", `A: x${"\r\n ".repeat(1_000_000)}`],
    ["line ends without an end", `A${"\r".repeat(3_000_000)}`],
  ])("cost no more than their length: %s", (_, raw) => {
    const message = createMessage(memory(raw));
    for (const { name, value } of message.headers) expect(name.length + value.length).toBeLessThan(1024 * 1024);
    message.headers.get("subject");
    expect(message.body.sizeBytes).toBeLessThanOrEqual(raw.length);
  });
});

describe("blobs", () => {
  const text = Array.from({ length: 3000 }, (_, line) => `line ${line} of a body\r\n`).join("");
  const makers: readonly [what: string, make: () => Promise<Blob>][] = [
    ["memory", async () => memory(text.slice(0, 10), "", text.slice(10, 5000), text.slice(5000))],
    ["file", async () => createFileBlob(await file(`before${text}after`), text.length, 6)],
    [
      "concatenated",
      async () => {
        const whole = createFileBlob(await file(`${text}${text}`), text.length * 2);
        const middle = concatBlobs([
          memory("", text.slice(5, 100)),
          whole.slice(100, 200),
          whole.slice(text.length + 200),
        ]);
        return concatBlobs([memory(), memory(text.slice(0, 5)), middle]);
      },
    ],
  ];
  let files = 0;
  async function file(content: string): Promise<string> {
    const path = join(directory, `file-${files++}`);
    await writeFile(path, content, "latin1");
    return path;
  }

  it.each(makers)("%s: any range, again and again", async (_, make) => {
    const blob = await make();
    expect(blob.sizeBytes).toBe(text.length);
    const ranges: readonly (readonly [number?, number?])[] = [[], [0, 5], [4, 6], [99, 201], [199, 200], [5000, 5000], [10], [text.length], [7, 3], [-5, text.length + 5]]; // prettier-ignore
    for (const [start, end] of ranges) {
      const expected = text.slice(Math.max(start ?? 0, 0), end);
      expect(await textOf(blob, start, end)).toBe(expected);
      const slice = blob.slice(start ?? 0, end);
      expect(await textOf(slice)).toBe(expected);
      expect(slice.sizeBytes).toBe(expected.length);
      expect(await textOf(slice.slice(1, 3))).toBe(expected.slice(1, 3));
    }
  });

  it("in memory share their octets", () => {
    const octets = Buffer.from(text);
    const blob = concatBlobs([memory("x"), createMemoryBlob([octets])]);
    expect(blob.chunks?.[1]).toBe(octets);
    expect(blob.slice(3).chunks?.[0]?.buffer).toBe(octets.buffer);
  });

  it("have as head what is before the first octet that is not in memory", async () => {
    const blob = concatBlobs([memory("a", "b"), createFileBlob(await file("c"), 1), memory("d")]);
    expect(blob.head?.join("")).toBe("ab");
    expect(blob.slice(1).head?.join("")).toBe("b");
    expect(blob.slice(3).chunks?.join("")).toBe("d");
    expect(await textOf(blob)).toBe("abcd");
  });

  it("come from a file in pieces of at most 64 KiB", async () => {
    for await (const piece of createFileBlob(await file("x".repeat(200_000)), 200_000).read()) {
      expect(piece.length).toBeLessThanOrEqual(64 * 1024);
    }
  });

  it("say so when the file is gone or too short, as something temporary", async () => {
    const unavailable = expect.objectContaining({ code: "STORE_UNAVAILABLE", temporary: true });
    await expect(textOf(createFileBlob(join(directory, "absent"), 5))).rejects.toEqual(unavailable);
    await expect(textOf(createFileBlob(await file("abc"), 5))).rejects.toEqual(unavailable);
  });

  it("from a file open as a message, reading no more than the header section asks for", async () => {
    const raw = `Subject: x\r\n${"X-Pad: y\r\n".repeat(10_000)}\r\n${text}`;
    const blob = createFileBlob(await file(raw), raw.length);
    expect(() => createMessage(blob).headers).toThrow(TypeError);
    const message = await openMessage(blob);
    expect(message.headers.length).toBe(10_001);
    expect(await textOf(message.body)).toBe(text);
    expect(await textOf(message.raw)).toBe(raw);
    const inMemory = message.raw.head?.reduce((sum, chunk) => sum + chunk.length, 0);
    expect(inMemory).toBe(128 * 1024);
  });
});
