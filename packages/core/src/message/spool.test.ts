import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Blob } from "./blob.ts";
import { applyEdits } from "./edits.ts";
import { createMessage } from "./parsed-message.ts";
import { createNamelessFiles } from "./spool-file.ts";
import { createSpooler, type Spool } from "./spool.ts";

let directory: string;
beforeEach(async () => void (directory = await mkdtemp(join(tmpdir(), "postern-spool-"))));
afterEach(() => rm(directory, { recursive: true }));

const KiB = 1024;
const top = Buffer.from("Subject: x\r\n\r\n");
const line = (length: number) => Buffer.from(`${"x".repeat(length - 2)}\r\n`);

async function fill(spool: Spool, chunks: readonly Buffer[]): Promise<boolean> {
  let keeps = true;
  for (const chunk of chunks) keeps = await spool.write(chunk);
  return keeps;
}

async function octetsOf(blob: Blob | undefined): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of blob?.read() ?? []) pieces.push(piece);
  return Buffer.concat(pieces);
}

it("keeps a small message in memory and answers without a promise", () => {
  const spool = createSpooler({ files: createNamelessFiles(directory), maxSizeBytes: 1024 * KiB }).open();
  const body = line(10_000);
  expect(spool.write(top)).toBe(true);
  expect(spool.write(body)).toBe(true);
  const blob = spool.end() as Blob;
  expect(blob.chunks?.[1]).toBe(body);
  expect(spool.dispose()).toBeUndefined();
});

it("puts a message beyond the threshold into a file without a name", async () => {
  const spool = createSpooler({ files: createNamelessFiles(directory), maxSizeBytes: 10_240 * KiB }).open();
  const chunks = [top, ...Array.from({ length: 100 }, (_, index) => line(30_000 + index))];
  expect(await fill(spool, chunks)).toBe(true);
  const blob = await spool.end();
  expect(blob?.chunks).toBeUndefined();
  expect(await readdir(directory)).toEqual([]);
  expect((await octetsOf(blob)).equals(Buffer.concat(chunks))).toBe(true);
  expect((await octetsOf(blob?.slice(100_000, 100_007))).toString()).toBe("xxxxxxx");

  // Inspected and edited without reading the file.
  const message = createMessage(blob as Blob);
  expect(message.headers.get("subject")?.value).toBe("x");
  const edited = (await applyEdits(message, [{ kind: "replaceHeader", name: "Subject", value: "y" }])).message;
  expect(
    (await octetsOf(edited.raw)).equals(Buffer.concat([Buffer.from("Subject: y\r\n\r\n"), ...chunks.slice(1)])),
  ).toBe(true);

  await spool.dispose();
  await spool.dispose();
  await expect(octetsOf(blob)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
});

it("has the header section at hand however long it is", async () => {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 10_240 * KiB,
    thresholdBytes: 16 * KiB,
  }).open();
  const fields = Array.from({ length: 10 }, (_, index) => Buffer.from(`X-${index}: ${"y".repeat(40_000)}\r\n`));
  await fill(spool, [
    ...fields,
    Buffer.from("\r"),
    Buffer.from("\n"),
    ...Array.from({ length: 20 }, () => line(30_000)),
  ]);
  const message = createMessage((await spool.end()) as Blob);
  expect(message.headers.length).toBe(10);
  expect(message.body.sizeBytes).toBe(600_000);
  await spool.dispose();
});

it("asks the writer to wait while the disk is behind", async () => {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 10_240 * KiB,
    thresholdBytes: 64 * KiB,
  }).open();
  const chunk = line(32 * KiB);
  expect(spool.write(chunk)).toBe(true);
  expect(spool.write(chunk)).toBe(true);
  expect(await expectPromise(spool.write(chunk))).toBe(true);
  // The file is open: a round of 256 KiB is gathered for each trip to the disk.
  for (let count = 1; count < 8; count++) expect(spool.write(chunk)).toBe(true);
  expect(await expectPromise(spool.write(chunk))).toBe(true);
  await spool.dispose();
});

function expectPromise<T>(value: T | Promise<T>): Promise<T> {
  expect(value).toBeInstanceOf(Promise);
  return value as Promise<T>;
}

it.each([
  ["in memory", 100 * KiB],
  ["in a file", 600 * KiB],
])("stops at the maximum: %s", async (_, maxSizeBytes) => {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes,
    thresholdBytes: 256 * KiB,
  }).open();
  const chunk = line(20 * KiB);
  const exact = Array.from({ length: maxSizeBytes / chunk.length }, () => chunk);
  expect(await fill(spool, exact)).toBe(true);
  expect(spool.overflowed).toBe(false);
  expect(await spool.write(Buffer.from("x"))).toBe(false);
  expect(spool.overflowed).toBe(true);
  expect(spool.write(chunk)).toBe(false);
  expect(spool.sizeBytes).toBe(maxSizeBytes + 1 + chunk.length);
  expect(await spool.end()).toBeUndefined();
  expect(await readdir(directory)).toEqual([]);
  await spool.dispose();
});

it("takes exactly the maximum", async () => {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 600 * KiB,
    thresholdBytes: 256 * KiB,
  }).open();
  await fill(
    spool,
    Array.from({ length: 30 }, () => line(20 * KiB)),
  );
  expect((await spool.end())?.sizeBytes).toBe(600 * KiB);
  await spool.dispose();
});

it("puts single octets together", () => {
  const spool = createSpooler({ files: createNamelessFiles(directory), maxSizeBytes: 1024 * KiB }).open();
  const content = Buffer.concat([top, line(100_000)]);
  for (let at = 0; at < content.length; at++) void spool.write(content.subarray(at, at + 1));
  const blob = spool.end() as Blob;
  expect(Buffer.concat([...(blob.chunks ?? [])]).equals(content)).toBe(true);
  expect(blob.chunks?.length).toBeLessThan(200);
});

it("fails at the end, not in the middle, when there is no disk", async () => {
  const spool = createSpooler({
    files: createNamelessFiles(join(directory, "absent")),
    maxSizeBytes: 10_240 * KiB,
    thresholdBytes: 256 * KiB,
  }).open();
  expect(
    await fill(
      spool,
      Array.from({ length: 20 }, () => line(64 * KiB)),
    ),
  ).toBe(false);
  await expect(spool.end()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", temporary: true });
  await spool.dispose();
});

it("holds small messages whatever others hold, and large ones as long as there is room for all", async () => {
  const spooler = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 10_240 * KiB,
    thresholdBytes: 512 * KiB,
    memoryBytes: 600 * KiB,
  });
  const chunk = line(50 * KiB);
  const open = async (chunks: number): Promise<Spool> => {
    const spool = spooler.open();
    await fill(spool, [top, ...Array.from({ length: chunks }, () => chunk)]);
    return spool;
  };
  const isInMemory = async (spool: Spool): Promise<boolean> => (await spool.end())?.chunks !== undefined;
  const [first, second, third] = [await open(10), await open(10), await open(1)];
  expect(await isInMemory(first)).toBe(true);
  expect(await isInMemory(second)).toBe(false);
  expect(await isInMemory(third)).toBe(true);
  // What is let go of, and what went to disk, is room again.
  await first.dispose();
  await second.dispose();
  const fourth = await open(10);
  expect(await isInMemory(fourth)).toBe(true);
  for (const spool of [third, fourth]) await spool.dispose();
});

it("can be disposed of in the middle of a write", async () => {
  const spool = createSpooler({
    files: createNamelessFiles(directory),
    maxSizeBytes: 10_240 * KiB,
    thresholdBytes: 0,
  }).open();
  const writing = spool.write(line(64 * KiB));
  const disposing = spool.dispose();
  expect(await writing).toBe(false);
  await disposing;
  expect(spool.write(line(64 * KiB))).toBe(false);
  expect(await spool.end()).toBeUndefined();
  expect(await readdir(directory)).toEqual([]);
});
