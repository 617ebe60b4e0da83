/** What bit rot and torn ends do to a log, octet by octet, on a disk in memory. */
import { crc32 } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { delivered, systemClock } from "../model/index.ts";
import { seededRandom } from "./seeded-random.ts";
import { createSegmentStore, type SegmentStoreOptions } from "./segment-store.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import type { OpenReport, QueueStore } from "./store.ts";
import { readAll, sampleMessage } from "./store-suite.ts";

const faultless = { next: () => undefined };
const bodies = new Map([
  ["a", Buffer.from("Subject: a\r\n\r\nfirst")],
  ["b", Buffer.alloc(200, "second \0\xff")],
  ["c", Buffer.from("c")],
]);

function storeOn(disk: SimulatedDisk, options: Partial<SegmentStoreOptions> = {}): QueueStore {
  const random = seededRandom(1);
  return createSegmentStore({
    directory: "/var/queue",
    clock: systemClock,
    port: disk,
    random,
    minFreeBytes: 0,
    handOffBytes: 0,
    ...options,
  });
}

/** What a restart finds: report, and the ids whose content is whole. A content that is wrong fails the test. */
async function reopen(disk: SimulatedDisk): Promise<{ report: OpenReport; ids: string[]; settledB: number[] }> {
  const store = storeOn(disk);
  const report = await store.open();
  const ids: string[] = [];
  for (const { id } of store.waiting()) {
    expect((await readAll(await store.content(id))).equals(bodies.get(id) as Buffer)).toBe(true);
    expect((await store.entry(id))?.message.id).toBe(id);
    ids.push(id);
  }
  const settledB = (await store.entry("b"))?.settled.map(({ index }) => index) ?? [];
  await store.close();
  return { report, ids: ids.toSorted(), settledB };
}

let image: ReadonlyMap<string, Buffer>;
let log: string;
/** Ends of what was said: a, b, settle of b, c. */
let ends: number[];

beforeEach(async () => {
  const disk = newDisk();
  const store = storeOn(disk);
  await store.open();
  ends = [];
  const note = () => ends.push(disk.octetsOf(disk.paths().find((path) => path.endsWith(".log")) as string).length);
  for (const id of ["a", "b"]) {
    await store.commit(sampleMessage(id, 2).message, createMemoryBlob([bodies.get(id) as Buffer]));
    note();
  }
  await store.settle("b", [{ index: 1, outcome: delivered("ok") }]);
  note();
  await store.commit(sampleMessage("c").message, createMemoryBlob([bodies.get("c") as Buffer]));
  note();
  await store.close();
  image = disk.image();
  log = [...image.keys()].find((path) => path.endsWith(".log")) as string;
});

function newDisk(files: ReadonlyMap<string, Buffer> = new Map()): SimulatedDisk {
  const folders = files.size === 0 ? ["", "/var"] : ["", "/var", "/var/queue", "/var/queue/log", "/var/queue/spool"];
  return SimulatedDisk.of(files, folders, seededRandom(1), faultless);
}

function harmed(change: (log: Buffer) => Buffer): SimulatedDisk {
  return newDisk(
    new Map([...image].map(([path, octets]) => [path, path === log ? change(Buffer.from(octets)) : octets])),
  );
}

test("a flipped bit anywhere costs its own record at most; what it cost is reported and kept", async () => {
  const [endA, endB, endSettled, endC] = ends as [number, number, number, number];
  for (let at = 0; at < endC; at += 1) {
    const disk = harmed((octets) => {
      octets[at] = (octets[at] as number) ^ (1 << (at % 8));
      return octets;
    });
    const { report, ids, settledB } = await reopen(disk);
    const lost = at < 32 ? undefined : at < endA ? "a" : at < endB ? "b" : at < endSettled ? "settled" : "c";
    expect(ids, `octet ${at}`).toEqual(["a", "b", "c"].filter((id) => id !== lost));
    expect(settledB, `octet ${at}`).toEqual(lost === "settled" || lost === "b" ? [] : [1]);
    if (lost === undefined) continue;
    expect(report.damage.length, `octet ${at}`).toBe(1);
    const [{ keptIn, where } = { keptIn: "", where: "" }] = report.damage;
    const start = Number(where.split(":").at(-1));
    expect(start).toBeLessThanOrEqual(at);
    expect(disk.octetsOf(keptIn as string).length).toBeGreaterThan(at - start);
  }
});

test("a log cut at any octet of its last record loses that record alone, and takes mail again", async () => {
  const [, , start, end] = ends as [number, number, number, number];
  for (let at = start; at < end; at += 1) {
    const disk = harmed((octets) => octets.subarray(0, at));
    const { report, ids } = await reopen(disk);
    expect(ids, `cut at ${at}`).toEqual(["a", "b"]);
    expect(report.damage).toEqual([]);
    const store = storeOn(disk);
    expect((await store.open()).damage).toEqual([]);
    await store.commit(sampleMessage("c").message, createMemoryBlob([bodies.get("c") as Buffer]));
    await store.close();
    expect((await reopen(disk)).ids).toEqual(["a", "b", "c"]);
  }
});

describe("whole stretches", () => {
  test.each([
    ["zeros", (length: number) => Buffer.alloc(length)],
    ["noise", (length: number) => Buffer.from(Array.from({ length }, seededRandom(5)).map((n) => n * 256))],
    [
      "a record of the same log, older",
      (length: number) => Buffer.from(image.get(log) as Buffer).subarray(32, 32 + length),
    ],
  ])("%s over a record in the middle", async (_what, harm) => {
    const [endA, endB] = ends as [number, number];
    const { ids } = await reopen(
      harmed((octets) => {
        harm(endB - endA).copy(octets, endA);
        return octets;
      }),
    );
    expect(ids).toEqual(["a", "c"]);
  });

  test("no segment header at all: the name has its salt", async () => {
    expect((await reopen(harmed((octets) => octets.fill(0, 0, 32)))).ids).toEqual(["a", "b", "c"]);
  });

  test("a lost segment is reported", async () => {
    const disk = newDisk(image);
    for (const id of ["b", "c"]) {
      const store = storeOn(disk);
      await store.open();
      await store.remove(id);
      await store.close();
    }
    const [first, second, third] = disk
      .paths()
      .filter((path) => path.endsWith(".log"))
      .toSorted();
    expect([first, third]).toEqual([log, expect.any(String)]);
    await disk.unlink(second as string);
    expect((await reopen(disk)).report.damage).toMatchObject([{ text: "segment 2 of the queue is not there" }]);
  });

  test("a log of a newer version is left alone", async () => {
    const disk = harmed((octets) => {
      octets.writeUInt16LE(2, 8);
      octets.writeUInt32LE(crc32(octets.subarray(0, 28)), 28);
      return octets;
    });
    await expect(reopen(disk)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", temporary: false });
    expect(disk.image().get(log)?.length).toBe(image.get(log)?.length);
  });
});

test("of the spool only what we wrote is tidied: a directory of `/var` must not cost /var/spool its files", async () => {
  const files = ["left.body", "7.incoming", "crontab", ".body", "a b.body", "x.incoming.gz"];
  const others = new Map(files.map((name) => [`/var/queue/spool/${name}`, Buffer.from("x")]));
  for (const broken of [false, true]) {
    const octets = Buffer.from(image.get(log) as Buffer);
    if (broken) octets[60] = (octets[60] as number) ^ 1;
    const disk = newDisk(new Map([...image, [log, octets], ...others]));
    const store = storeOn(disk);
    await store.open();
    await store.close();
    const left = files.filter((name) => disk.paths().includes(`/var/queue/spool/${name}`));
    expect(left).toEqual(["crontab", ".body", "a b.body", "x.incoming.gz"]);
  }
});

test("a message whose spooled content is gone or wrong is reported, never half delivered", async () => {
  const disk = newDisk();
  const store = storeOn(disk, { spoolAboveBytes: 200_000 });
  await store.open();
  const body = Buffer.alloc(300_000, "x");
  for (const id of ["gone", "wrong"]) await store.commit(sampleMessage(id).message, createMemoryBlob([body]));
  await store.close();
  await disk.unlink("/var/queue/spool/gone.body");
  disk.octetsOf("/var/queue/spool/wrong.body")[299_999] = 0;
  const again = storeOn(disk);
  expect((await again.open()).damage).toMatchObject([{ text: "the content of message gone is not there" }]);
  await expect(readAll(await again.content("gone"))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  const pieces: Buffer[] = [];
  const reading = (async () => {
    for await (const piece of (await again.content("wrong"))?.read() ?? []) pieces.push(piece);
  })();
  await expect(reading).rejects.toMatchObject({ code: "STORE_DAMAGED" });
  expect(Buffer.concat(pieces).length).toBeLessThan(300_000);
  await again.close();
});
