// Bodies that edits replace or splice: in memory and in files the same, never half a line end, never more work than octets.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomFrom } from "../../../../test/sampling.ts";
import { checkEdits } from "../hooks/check-edits.ts";
import type { Blob } from "./blob.ts";
import { applyEdits } from "./edits.ts";
import { concatBlobs } from "./concatenated-blob.ts";
import { createFileBlob } from "./file-blob.ts";
import { createMemoryBlob } from "./memory-blob.ts";
import type { Edit } from "./message.ts";
import { createMessage } from "./parsed-message.ts";
import { createSoundSpool } from "./sound-blob.ts";
import { createNamelessFiles } from "./spool-file.ts";
import { createSpooler, type Spool } from "./spool.ts";

let directory: string;
const spools: Spool[] = [];
beforeAll(async () => void (directory = await mkdtemp(join(tmpdir(), "postern-body-"))));
afterAll(async () => {
  for (const spool of spools) await spool.dispose();
  await rm(directory, { recursive: true });
});

function openSpool(thresholdBytes: number): Spool {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 100_000_000,
    thresholdBytes,
    maxHeaderBytes: 64,
  }).open();
  spools.push(spool);
  return spool;
}

async function spooled(spool: Spool, text: string): Promise<Blob> {
  const octets = Buffer.from(text, "latin1");
  for (let at = 0; at < octets.length; at += 60_000) await spool.write(octets.subarray(at, at + 60_000));
  return (await spool.end()) as Blob;
}

async function textOf(blob: Blob, start?: number, end?: number): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of blob.read(start, end)) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

const splice = (start: number, end: number, text = ""): Edit => ({
  kind: "spliceBody",
  start,
  end,
  octets: Buffer.from(text, "latin1"),
});
const normalized = (text: string): string => text.replace(/\r\n|\r|\n/g, "\r\n");
const top = "Subject: x\r\n\r\n";

describe("splices", () => {
  it("say the same in memory, in a file, and as a plain model, whatever they tear apart", async () => {
    const random = randomFrom(6);
    const below = (limit: number) => Math.floor(random() * limit);
    const bits = ["\r\n", "\r\n\r\n", "a", "line", ".", "xyz"];
    const given = ["", "\r", "\n", "\r\n", "x", "\n.\r", "new\r\nlines", "\r\r\n\n"];
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: below(30) }, () => bits[below(bits.length)]).join("");
      const places = Array.from({ length: 2 * below(6) }, () => below(text.length + 3)).toSorted((a, b) => a - b);
      const edits = Array.from({ length: places.length / 2 }, (_, at) =>
        splice(places[2 * at] ?? 0, places[2 * at + 1] ?? 0, given[below(given.length)]),
      );
      let expected = "";
      let done = 0;
      for (const edit of edits) {
        if (edit.kind !== "spliceBody") continue;
        expected += text.slice(done, edit.start) + normalized(Buffer.from(edit.octets).toString("latin1"));
        done = edit.end;
      }
      // The model: what came out, and every bare CR or LF made CR LF; but two that meet are one.
      expected = normalized(expected + text.slice(done));
      // Only at one place does their order say anything.
      const starts = places.map((place) => Math.min(place, text.length)).filter((_, at) => at % 2 === 0);
      if (new Set(starts).size === starts.length) edits.reverse();
      const cut = below(text.length);
      const inMemory = createMemoryBlob([top + text.slice(0, cut), text.slice(cut)].map((part) => Buffer.from(part)));
      const path = join(directory, "message");
      await writeFile(path, top + text);
      const inFile = concatBlobs([createMemoryBlob([Buffer.from(top)]), createFileBlob(path, text.length, top.length)]);
      for (const raw of [inMemory, inFile]) {
        const { message } = await applyEdits(createMessage(raw), checkEdits(edits));
        expect([text, edits, await textOf(message.body)]).toEqual([text, edits, expected]);
        expect(message.sizeBytes).toBe(top.length + expected.length);
        expect(await textOf(message.raw)).toBe(top + expected);
        for (const [start, end] of [
          [0, 5],
          [3, 9],
          [below(20), below(40)],
        ] as const) {
          // prettier-ignore
          expect(await textOf(message.body, start, end)).toBe(expected.slice(start, Math.max(start, end)));
          expect(await textOf(message.body.slice(start, end).slice(1))).toBe(
            expected.slice(start, Math.max(start, end)).slice(1),
          );
        }
      }
    }
  });

  it("ten thousand of them in 20 MB read the file once, and copy nothing before", async () => {
    const line = `${"x".repeat(1998)}\r\n`;
    const raw = await spooled(openSpool(0), top + line.repeat(10_000));
    const counted: Blob & { reads: number } = {
      reads: 0,
      sizeBytes: raw.sizeBytes - top.length,
      chunks: undefined,
      slice: (start, end) => raw.slice(start + top.length, end === undefined ? undefined : end + top.length),
      read(start = 0, end = raw.sizeBytes) {
        counted.reads += 1;
        return raw.read(start + top.length, end + top.length);
      },
    };
    const message = createMessage(raw);
    Object.defineProperty(message, "body", { value: counted });
    const edits = Array.from({ length: 10_000 }, (_, at) => splice(at * 2000 + 10, at * 2000 + 20, "yy"));
    const edited = (await applyEdits(message, checkEdits(edits))).message;
    expect(edited.body.sizeBytes).toBe(20_000_000 - 80_000);
    // A body of 20 MB has 306 blocks; each is read once, a few twice for an octet before a seam.
    expect(counted.reads).toBeLessThan(320);
    counted.reads = 0;
    let octets = 0;
    for await (const piece of edited.body.read()) octets += piece.length;
    expect(octets).toBe(edited.body.sizeBytes);
    expect(counted.reads).toBeLessThan(320);
    expect(await textOf(edited.body, 1992 * 9_999)).toBe(`${line.slice(0, 10)}yy${line.slice(20)}`);
  });

  it("ten thousand edits of ten thousand fields are done in a blink", async () => {
    const raw = createMemoryBlob([Buffer.from(`${"A: 1\r\nB: 2\r\n".repeat(5_000)}\r\n`)]);
    const each = (make: (at: number) => Edit): readonly Edit[] => Array.from({ length: 10_000 }, (_, at) => make(at));
    const left = async (edits: readonly Edit[]): Promise<number> =>
      (await applyEdits(createMessage(raw), edits)).message.headers.length;
    const started = process.cpuUsage();
    expect(await left(each(() => ({ kind: "deleteHeader", name: "a", nth: 1 })))).toBe(5_000);
    expect(await left(each((at) => ({ kind: "insertHeader", index: at, name: "A", value: "3" })))).toBe(20_000);
    expect(await left(each((at) => ({ kind: "replaceHeader", name: "B", nth: 1 + (at % 5_000), value: "3" })))).toBe(10_000); // prettier-ignore
    expect(await left(each(() => ({ kind: "deleteHeader", name: "a" })))).toBe(5_000);
    // It takes a hundredth of that; one by one through all fields it takes ten times as long.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(20);
  });
});

describe("a new body", () => {
  it.each([
    ["in memory", 10_000_000],
    ["in a file", 0],
  ])("written to a scanner's spool ends its lines with CR LF: %s", async (_, thresholdBytes) => {
    const text = "a\nb\rc\r\n\n\r\r\n.\r\n.\n.\r".repeat(20_000);
    const spool = createSoundSpool(openSpool(thresholdBytes));
    for (let at = 0; at < text.length; at += 13) await spool.write(Buffer.from(text.slice(at, at + 13)));
    const blob = (await spool.end()) as Blob;
    const message = createMessage(createMemoryBlob([Buffer.from(`${top}old`)]));
    const edited = (await applyEdits(message, checkEdits([{ kind: "replaceBody", body: blob }]))).message;
    expect((await textOf(edited.raw)) === top + normalized(text)).toBe(true);
    expect(edited.body.chunks === undefined).toBe(thresholdBytes === 0);
  });

  it("that overflowed its spool is none", async () => {
    const spool = createSoundSpool(createSpooler({ files: createNamelessFiles(directory), maxSizeBytes: 10 }).open());
    await spool.write(Buffer.from("x".repeat(11)));
    expect([spool.overflowed, await spool.end()]).toEqual([true, undefined]);
  });

  it("in chunks of memory is made sound across them", async () => {
    const chunks = ["a\r", "\nb\r", "c", "\n", "d\r"].map((text) => Buffer.from(text));
    const message = createMessage(createMemoryBlob([Buffer.from(top)]));
    const [edit] = checkEdits([{ kind: "replaceBody", body: createMemoryBlob(chunks) }]);
    const edited = (await applyEdits(message, edit === undefined ? [] : [edit])).message;
    expect(await textOf(edited.body)).toBe("a\r\nb\r\nc\r\nd\r\n");
  });
});

describe("no sound edits", () => {
  const read = async function* () {
    yield Buffer.from("x\n.\n");
  };
  const foreign = { sizeBytes: 4, read, slice: () => foreign, chunks: undefined };
  const cases: readonly [what: string, edits: unknown][] = [
    ["a blob of who knows what", [{ kind: "replaceBody", body: foreign }]],
    ["a blob whose chunks are none", [{ kind: "replaceBody", body: { ...foreign, chunks: ["text"] } }]],
    ["the web's blob", [{ kind: "replaceBody", body: new globalThis.Blob(["x"]) }]],
    ["a splice that ends before it starts", [splice(4, 3)]],
    ["a splice at no place", [{ kind: "spliceBody", start: -1, end: 0, octets: Buffer.from("x") }]],
    ["a splice at half an octet", [{ kind: "spliceBody", start: 0.5, end: 1, octets: Buffer.from("x") }]],
    ["a splice of text", [{ kind: "spliceBody", start: 0, end: 0, octets: "x" }]],
    ["splices that overlap", [splice(5, 9), splice(0, 6)]],
    ["a splice beside a new body", [splice(0, 1), { kind: "replaceBody", body: Buffer.from("x") }]],
    ["an insertion at no index", [{ kind: "insertHeader", index: -1, name: "A", value: "b" }]],
    ["an insertion of nothing", [{ kind: "insertHeader", index: 0, name: "A" }]],
    ["holes", Array(3)],
  ];
  it.each(cases)("%s", (_, edits) => {
    expect(() => checkEdits(edits)).toThrow(expect.objectContaining({ code: "PLUGIN_FAILED" }));
  });

  it("octets are the gateway's own from then on", () => {
    const octets = Buffer.from("before");
    const edits = checkEdits([
      { kind: "spliceBody", start: 0, end: 0, octets },
      { kind: "appendHeader", name: "A", value: octets },
    ]);
    octets.fill("x");
    expect(edits.map((edit) => Buffer.from("octets" in edit ? edit.octets : "value" in edit ? edit.value : "").toString())).toEqual(["before", "before"]); // prettier-ignore
  });
});

it("whatever a plugin hands over is refused, or leaves a sound message", async () => {
  const random = randomFrom(8);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const texts = ["", "a", "X-A", "a\r\n\r\nb", "\n.\r", "\0", "ü", "\u2028", "x".repeat(2_000), "Subject", " ", ":"];
  const octets = texts.map((text) => Buffer.from(text));
  const numbers = [0, 1, 2, 3, 7, 50, -1, 0.5, Number.NaN, 2 ** 53, "1", null, undefined, {}, 1n];
  const bodies = [...octets, ...octets.map((one) => createMemoryBlob([one, one])), new globalThis.Blob(["x"]), "x", {}, null];
  const kinds = ["prependHeader", "appendHeader", "insertHeader", "replaceHeader", "deleteHeader", "replaceBody", "spliceBody", "addRecipient", "nonsense", undefined, Symbol("x")];
  const raw = `A: 1\r\nX-A: 2\r\n fold\r\nno field\r\nSubject: 3\r\n\r\n${"line\r\n".repeat(9)}`;
  let taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const answer = Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
      kind: pick(kinds),
      name: pick([...texts, 1]),
      value: pick<unknown>([...texts, ...octets, 1]),
      nth: pick(numbers),
      index: pick(numbers),
      start: pick(numbers),
      end: pick(numbers),
      octets: pick<unknown>([...octets, "x"]),
      body: pick(bodies),
      address: pick<unknown>([...texts, 1]),
    }));
    let edits: readonly Edit[];
    try {
      edits = checkEdits(answer);
    } catch (error) {
      expect(error).toMatchObject({ code: "PLUGIN_FAILED" });
      continue;
    }
    taken += 1;
    const given = createMessage(createMemoryBlob([Buffer.from(raw)]));
    const { message } = await applyEdits(given, edits);
    const text = await textOf(message.raw);
    expect([answer, /\r(?!\n)|(?<!\r)\n/.test(text)]).toEqual([answer, false]);
    // No field ended the header: the body is what an edit made of it, or as it was.
    const body = await textOf(message.body);
    expect(text.endsWith(`\r\n\r\n${body}`)).toBe(true);
    if (!edits.some(({ kind }) => kind === "replaceBody" || kind === "spliceBody")) expect(body).toBe(await textOf(given.body));
  }
  expect(taken).toBeGreaterThan(1_000);
}); // prettier-ignore
