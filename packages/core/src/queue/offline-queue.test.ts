/** Verifying and salvaging a queue that nobody runs on, on a disk in memory. */
import { beforeEach, expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { delivered, systemClock } from "../model/index.ts";
import { salvageQueue } from "./salvage-queue.ts";
import { seededRandom } from "./seeded-random.ts";
import { createSegmentStore } from "./segment-store.ts";
import { SimulatedDisk } from "./simulated-disk.ts";
import { readAll, sampleMessage } from "./store-suite.ts";
import { verifyQueue } from "./verify-queue.ts";

const directory = "/var/queue";
let disk: SimulatedDisk;

const openStore = async () => {
  const store = createSegmentStore({
    directory,
    clock: systemClock,
    port: disk,
    random: seededRandom(2),
    minFreeBytes: 0,
    handOffBytes: 0,
    segmentBytes: 4000,
    spoolAboveBytes: 3000,
  });
  await store.open();
  return store;
};
const contentOf = (id: string) => Buffer.alloc(id.startsWith("large") ? 5000 : 300, id);

beforeEach(async () => {
  disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), { next: () => undefined });
  const store = await openStore();
  for (const id of ["a", "b", "large1", "c", "large2", "large3"])
    await store.commit(sampleMessage(id, 2).message, createMemoryBlob([contentOf(id)]));
  await store.settle("a", [{ index: 0, outcome: delivered("ok") }]);
  store.reschedule("a", { attempts: 1, nextAttemptAt: 99 });
  await store.remove("c");
  await store.close();
});

function find(text: string): { path: string; at: number } {
  for (const path of disk.paths()) {
    const at = path.endsWith(".log") ? disk.octetsOf(path).indexOf(text) : -1;
    if (at >= 0) return { path, at };
  }
  throw new Error(`${text} is in no segment`);
}
function flip(path: string, at: number): void {
  const octets = Buffer.from(disk.octetsOf(path));
  octets[at] = (octets[at] as number) ^ 1;
  disk.replace(path, octets);
}
const image = () => new Map([...disk.image()].map(([path, octets]) => [path, octets.toString("latin1")]));

test("a sound queue: counted, and not an octet changed by verify or salvage", async () => {
  const before = image();
  const report = await verifyQueue(directory, disk);
  expect(report).toMatchObject({
    directory,
    messages: 5,
    records: { message: 6, settled: 1, schedule: 1, remove: 1 },
    contents: 3,
    leftovers: 0,
    checkpoint: "sound",
    damage: [],
  });
  expect(await salvageQueue(directory, disk)).toEqual({ directory, messages: 5, damage: [], keptAside: [] });
  expect(image()).toEqual(before);
});

test("while somebody has the folder, and where there is none, both say so", async () => {
  const store = await openStore();
  for (const command of [verifyQueue, salvageQueue]) {
    await expect(command(directory, disk)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await expect(command("/var/none", disk)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  }
  await store.close();
});

test("damage is named by verify, which changes nothing, and gone after salvage; what is left of a message is kept aside", async () => {
  const record = find('{"message":{"id":"b"');
  flip(record.path, disk.octetsOf(record.path).indexOf("bbbbbbbb", record.at)); // content in the log
  flip("/var/queue/spool/large1.body", 4999);
  await disk.unlink("/var/queue/spool/large3.body");
  disk.replace("/var/queue/spool/left.body", Buffer.from("x"));
  const before = image();

  const { damage, leftovers, messages } = await verifyQueue(directory, disk);
  expect(messages).toBe(4);
  expect(leftovers).toBe(1);
  expect(damage.map(({ text }) => text)).toEqual([
    "records of the log are not what was written",
    "the content of message large1 is not what was written",
    "the content of message large3 is not there",
    "the checkpoint and the log disagree about message b",
  ]);
  expect(image()).toEqual(before);

  const report = await salvageQueue(directory, disk);
  expect(report.messages).toBe(2);
  expect(report.keptAside.map(({ id, reason, recipients }) => [id, reason, recipients.length])).toEqual([
    ["b", "its content in the log is not what was written", 2],
    ["large1", "its content is not what was written", 2],
    ["large3", "its content is not there", 2],
  ]);
  const damaged = (name: string) => disk.octetsOf(`/var/queue/damaged/${name}`);
  expect(JSON.parse(damaged("b.json").toString())).toMatchObject({ message: { id: "b" } });
  expect(damaged("b.body").length).toBe(300);
  expect(damaged("large1.body").subarray(0, 4999).equals(contentOf("large1").subarray(0, 4999))).toBe(true);
  expect(JSON.parse(damaged("large3.json").toString())).toMatchObject({ message: { id: "large3" } });

  expect(await verifyQueue(directory, disk)).toMatchObject({ messages: 2, damage: [] });
  const store = await openStore();
  expect([...store.waiting()].map(({ id }) => id).toSorted()).toEqual(["a", "large2"]);
  expect(await store.entry("a")).toMatchObject({ pending: [1], schedule: { nextAttemptAt: 99 } });
  for (const id of ["a", "large2"]) expect((await readAll(await store.content(id))).equals(contentOf(id))).toBe(true);
  await store.close();
});
