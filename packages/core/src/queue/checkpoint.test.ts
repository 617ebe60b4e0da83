/** What a start reads when there is a checkpoint, and what it does with a bad one. */
import { expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { delivered, systemClock } from "../model/index.ts";
import { fileOver, portOver } from "./planted-faults.ts";
import { seededRandom } from "./seeded-random.ts";
import { createSegmentStore } from "./segment-store.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { sampleMessage } from "./store-suite.ts";

const checkpoint = "/var/queue/checkpoint";

async function bench() {
  let readBytes = 0;
  const disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), { next: () => undefined });
  const counted = portOver(disk, {
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      return fileOver(file, {
        read: async (position, length) => {
          const octets = await file.read(position, length);
          if (path.endsWith(".log")) readBytes += octets.length;
          return octets;
        },
      });
    },
  });
  const open = async () => {
    readBytes = 0;
    const store = createSegmentStore({
      directory: "/var/queue",
      clock: systemClock,
      port: counted,
      random: seededRandom(2),
      minFreeBytes: 0,
      segmentBytes: 100_000,
      handOffBytes: 0,
    });
    const report = await store.open();
    return { store, report, readBytes };
  };
  return { disk, open };
}

async function filled() {
  const { disk, open } = await bench();
  const { store } = await open();
  for (let at = 0; at < 200; at += 1)
    await store.commit(sampleMessage(`m${at}`, 2).message, createMemoryBlob([Buffer.alloc(5000, at)]));
  await store.settle("m7", [{ index: 1, outcome: delivered("ok") }]);
  store.reschedule("m8", { attempts: 2, nextAttemptAt: 4711, reason: "later" });
  await store.remove("m9");
  await store.close();
  return { disk, open };
}

async function expectAll(opened: Awaited<ReturnType<Awaited<ReturnType<typeof bench>>["open"]>>) {
  const { store, report } = opened;
  expect(report).toEqual({ waiting: 199, damage: [] });
  expect((await store.entry("m7"))?.pending).toEqual([0]);
  expect([...store.waiting()].find(({ id }) => id === "m8")?.nextAttemptAt).toBe(4711);
  expect((await store.entry("m8"))?.schedule).toMatchObject({ attempts: 2, reason: "later" });
  expect(await store.entry("m9")).toBeUndefined();
  await store.close();
}

test("a start after a close reads the beginnings of the segments and no more, and knows the same", async () => {
  const { open } = await filled();
  const opened = await open();
  // Eleven segments of a million octets together; 64 KiB of each hold what was discarded.
  expect(opened.readBytes).toBeLessThan(12 * 65_536);
  await expectAll(opened);
});

test.each([
  ["lost", () => undefined],
  ["empty", () => Buffer.alloc(0)],
  ["cut short", (octets: Buffer) => octets.subarray(0, -1)],
  ["followed by something", (octets: Buffer) => Buffer.concat([octets, Buffer.from("x")])],
  ["of a newer version", (octets: Buffer) => (octets.writeUInt16LE(3, 8), octets)],
])("with a checkpoint that is %s the log is read instead", async (_what, harm) => {
  const { disk, open } = await filled();
  disk.replace(checkpoint, harm(Buffer.from(disk.octetsOf(checkpoint))));
  const opened = await open();
  expect(opened.readBytes).toBeGreaterThan(1_000_000);
  await expectAll(opened);
});

test("no octet of a checkpoint can be changed without being noticed", async () => {
  const { disk, open } = await filled();
  const sound = Buffer.from(disk.octetsOf(checkpoint));
  for (let at = 0; at < sound.length; at += 97) {
    const octets = Buffer.from(sound);
    octets[at] = (octets[at] as number) ^ 0x10;
    disk.replace(checkpoint, octets);
    const opened = await open();
    expect(opened.readBytes, `octet ${at}`).toBeGreaterThan(1_000_000);
    await opened.store.close();
  }
});

test("a checkpoint of another log is not believed", async () => {
  const { disk, open } = await filled();
  const other = Buffer.from(disk.octetsOf(checkpoint));
  const [first] = disk.paths().filter((path) => path.endsWith(".log"));
  const renamed = (first as string).replace(/-[0-9a-f]{8}/, "-00000000");
  await disk.rename(first as string, renamed);
  disk.replace(checkpoint, other);
  const { report, store } = await open();
  // Its salt does not fit its name, so its records are unreadable: damage, and said so.
  expect(report.damage.length).toBeGreaterThan(0);
  await store.close();
});
