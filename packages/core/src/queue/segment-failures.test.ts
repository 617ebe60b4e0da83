/** What the store says and does when the disk fails it, one failure at a time. */
import { expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { delivered, systemClock } from "../model/index.ts";
import { seededRandom } from "./seeded-random.ts";
import { createSegmentStore, type SegmentStoreOptions } from "./segment-store.ts";
import { type DiskCall, SimulatedDisk } from "./simulated-disk.ts";
import { sampleMessage } from "./store-suite.ts";

/** A disk that fails as it is told to, and an open store on it. */
async function bench(options: Partial<SegmentStoreOptions> = {}) {
  const failures: { call: DiskCall; code: string }[] = [];
  const calls: DiskCall[] = [];
  const faults = {
    next(call: DiskCall) {
      calls.push(call);
      const at = failures.findIndex((failure) => failure.call === call);
      return at < 0 ? undefined : failures.splice(at, 1)[0]?.code;
    },
  };
  const disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), faults);
  const errors: Error[] = [];
  const open = async () => {
    const store = createSegmentStore({
      directory: "/var/queue",
      clock: systemClock,
      port: disk,
      random: seededRandom(2),
      minFreeBytes: 0,
      onError: (error) => errors.push(error),
      ...options,
    });
    await store.open();
    return store;
  };
  const logs = () => disk.paths().filter((path) => path.endsWith(".log"));
  const fail = (call: DiskCall, code: string) => failures.push({ call, code });
  return { disk, calls, fail, errors, logs, open, store: await open() };
}
const commit = (store: { commit: Awaited<ReturnType<typeof bench>>["store"]["commit"] }, id: string, bytes = 10) =>
  store.commit(sampleMessage(id, 2).message, createMemoryBlob([Buffer.alloc(bytes)]));
const outcome = delivered("ok");

test("what comes in one turn of the event loop is one write and one fdatasync", async () => {
  const { store, calls } = await bench();
  await commit(store, "first");
  calls.length = 0;
  void store.settle("first", [{ index: 0, outcome }]);
  store.reschedule("first", { attempts: 1, nextAttemptAt: 5 });
  await Promise.all(Array.from({ length: 100 }, (_, at) => commit(store, `m${at}`)));
  expect(calls).toEqual(["write", "sync"]);
});

test("what was said before a message is on the disk when the message is, also when a removal that comes too late would say it", async () => {
  let onOpen = (): void => undefined;
  const faults = { next: (call: DiskCall) => void (call === "open" && onOpen()) };
  const disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), faults);
  const options = { directory: "/var/queue", clock: systemClock, port: disk, random: seededRandom(2), minFreeBytes: 0 };
  const store = createSegmentStore({
    ...options,
    segmentBytes: 1,
    onError: (error) => expect.unreachable(error.message),
  });
  await store.open();
  await commit(store, "a");
  // The batch is taken, and its segment is not there yet.
  onOpen = () => {
    onOpen = () => undefined;
    void store.remove("a");
  };
  void store.settle("a", [{ index: 0, outcome }]);
  await commit(store, "b");
  const log = disk.paths().findLast((path) => path.endsWith(".log")) as string;
  expect(disk.octetsOf(log).toString("latin1")).toMatch(/\{"id":"a","settled":.*"id":"b"/s);
  await store.close();
  const again = createSegmentStore({ ...options, onError: (error) => expect.unreachable(error.message) });
  await again.open();
  expect([...again.waiting()].map(({ id }) => id)).toEqual(["b"]);
  await again.close();
});

test("a removal before its settlement was written makes one record", async () => {
  const { store, disk, logs } = await bench();
  await commit(store, "a");
  const before = disk.octetsOf(logs()[0] as string).length;
  void store.settle("a", [{ index: 0, outcome }]);
  await store.remove("a");
  expect(disk.octetsOf(logs()[0] as string).length - before).toBe(28 + '{"id":"a"}'.length);
});

test.each([
  ["write", "EIO", "STORE_UNAVAILABLE"],
  ["write", "ENOSPC", "STORE_FULL"],
  ["write", "EDQUOT", "STORE_FULL"],
  ["sync", "EIO", "STORE_UNAVAILABLE"],
] as const)(
  "%s failing with %s: those who wait get %s, the segment is closed, outcomes are said again",
  async (call, code, told) => {
    const { store, fail, errors, logs, open } = await bench();
    await commit(store, "before");
    fail(call, code);
    const settled = store.settle("before", [{ index: 1, outcome }]);
    await expect(commit(store, "unlucky")).rejects.toMatchObject({ code: told, temporary: true });
    expect(await store.entry("unlucky")).toBeUndefined();
    expect(errors).toMatchObject([{ code: told }]);
    await commit(store, "after");
    await settled;
    expect(logs().length).toBe(2);
    await store.close();
    const again = await open();
    expect([...again.waiting()].map(({ id }) => id)).toEqual(["before", "after"]);
    expect((await again.entry("before"))?.pending).toEqual([0]);
  },
);

test("a failed fdatasync is not tried again on its file, and its records are never believed", async () => {
  const { store, fail, disk, logs, open, calls } = await bench();
  await commit(store, "before");
  const [first] = logs() as [string];
  const size = disk.octetsOf(first).length;
  fail("sync", "EIO");
  fail("truncate", "EIO");
  await expect(commit(store, "unlucky")).rejects.toThrow();
  expect(disk.octetsOf(first).length).toBeGreaterThan(size); // it is all there, for whoever would believe it
  calls.length = 0;
  await commit(store, "after");
  expect(calls).toEqual(["open", "write", "sync", "syncFolder"]);
  await store.close();
  const again = await open();
  expect([...again.waiting()].map(({ id }) => id)).toEqual(["before", "after"]);
});

test.each(["open", "write", "sync", "syncFolder"] as const)(
  "a new segment that fails in %s is no segment",
  async (call) => {
    const { store, fail, logs, open } = await bench();
    fail(call, "EIO");
    await expect(commit(store, "unlucky")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await commit(store, "after");
    expect(logs().length).toBe(1);
    await store.close();
    const again = await open();
    expect([...again.waiting()].map(({ id }) => id)).toEqual(["after"]);
  },
);

test.each(["open", "write", "sync", "syncFolder"] as const)(
  "a spool file that fails in %s leaves nothing",
  async (call) => {
    const { store, fail, disk } = await bench({ spoolAboveBytes: 100 });
    fail(call, "ENOSPC");
    await expect(commit(store, "unlucky", 1000)).rejects.toMatchObject({ code: "STORE_FULL" });
    expect(disk.paths().filter((path) => path.includes("/spool/"))).toEqual([]);
    await commit(store, "unlucky", 1000);
  },
);

test("room: what is under way counts, and mail is refused before the disk is full", async () => {
  const { disk, open, store: first } = await bench();
  await first.close();
  disk.capacityBytes = 100_000;
  const store = await open();
  expect(store.hasRoom(90_000)).toBe(true);
  await store.close();
  const careful = createSegmentStore({
    directory: "/var/queue",
    clock: systemClock,
    port: disk,
    minFreeBytes: 50_000,
    reserveBytes: 0,
  });
  await careful.open();
  const answers = await Promise.allSettled(Array.from({ length: 8 }, (_, at) => commit(careful, `m${at}`, 10_000)));
  expect(answers.filter(({ status }) => status === "fulfilled").length).toBe(4);
  expect(answers.at(-1)).toMatchObject({ reason: { code: "STORE_FULL", temporary: true } });
  expect(careful.hasRoom(10_000)).toBe(false);
  // Settling and removing go on, and make room.
  for (let at = 0; at < 4; at += 1) await careful.remove(`m${at}`);
  await careful.close();
});

test("the log does not grow while one old message stays", async () => {
  const { store, disk, logs, open } = await bench({ segmentBytes: 10_000 });
  await commit(store, "old", 500);
  void store.settle("old", [{ index: 0, outcome }]);
  store.reschedule("old", { attempts: 3, nextAttemptAt: 77, reason: "later" });
  for (let at = 0; at < 500; at += 1) {
    await commit(store, `m${at}`, 500);
    void store.remove(`m${at}`);
  }
  const used = logs().reduce((sum, path) => sum + disk.octetsOf(path).length, 0);
  expect(used).toBeLessThan(60_000);
  await store.close();
  const again = await open();
  expect([...again.waiting()]).toEqual([{ id: "old", nextAttemptAt: 77 }]);
  expect(await again.entry("old")).toMatchObject({ pending: [1], schedule: { attempts: 3, reason: "later" } });
});

test("on a full disk outcomes and removals are still written, new mail is not taken, and the reserve comes back", async () => {
  let now = 0;
  const timers: (() => void)[] = [];
  const clock = {
    now: () => now,
    monotonic: () => now,
    setTimer: (call: () => void, delayMs: number) => {
      if (delayMs < 60_000) return systemClock.setTimer(call, delayMs);
      timers.push(call);
      return { cancel: () => undefined };
    },
  };
  const { store, disk, open } = await bench({ reserveBytes: 20_000, clock });
  await commit(store, "a", 1000);
  await commit(store, "b", 1000);
  expect(disk.octetsOf("/var/queue/reserve").length).toBe(20_000);
  const used = [...disk.image().values()].reduce((sum, { length }) => sum + length, 0);
  disk.capacityBytes = used + 10;
  now += 2000;
  await store.settle("a", [{ index: 0, outcome }]);
  await store.remove("b");
  expect(disk.paths()).not.toContain("/var/queue/reserve");
  // There are octets free now, but they are not for mail.
  now += 2000;
  await expect(commit(store, "c", 100)).rejects.toMatchObject({ code: "STORE_FULL", temporary: true });
  disk.capacityBytes = used + 100_000;
  now += 60_000;
  for (const call of timers.splice(0)) call();
  await expect.poll(() => disk.paths().includes("/var/queue/reserve")).toBe(true);
  now += 2000;
  await commit(store, "c", 100);
  await store.close();
  const again = await open();
  expect([...again.waiting()].map(({ id }) => id)).toEqual(["a", "c"]);
  expect((await again.entry("a"))?.pending).toEqual([1]);
});
