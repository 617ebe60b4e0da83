// Outcomes of a message with very many recipients: each costs the same, and a checkpoint holds them all.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { delivered, systemClock } from "../model/index.ts";
import { pendingNote } from "./queue-index.ts";
import { createSegmentStore } from "./segment-store.ts";
import { nothingSettled, ownNotes, SettledNotes } from "./settled-notes.ts";
import { seededRandom } from "./seeded-random.ts";
import { type DiskCall, SimulatedDisk } from "./simulated-disk.ts";
import { sampleMessage } from "./store-suite.ts";

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), "postern-notes-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test("the beginning goes with the copy that says it, what was said since stays", () => {
  const notes = [0, 1, 2, 3].map((index) => pendingNote([{ index, outcome: delivered("ok") }]));
  const settled = new SettledNotes(notes.slice(0, 2));
  const { said } = settled;
  for (const note of notes.slice(2)) settled.add(note);
  settled.dropSaid(said);
  expect([...settled]).toEqual(notes.slice(2));
  settled.dropSaid(said);
  expect([...settled]).toEqual(notes.slice(2));
  settled.dropSaid(settled.said);
  expect(settled.size).toBe(0);
});

test("what all messages share is never added to", () => {
  const place = { settled: nothingSettled };
  ownNotes(place).add(pendingNote([]));
  expect([nothingSettled.size, place.settled.size]).toEqual([0, 1]);
});

test("70,000 outcomes of one message, one by one: there after a restart from the checkpoint", async () => {
  const recipients = 70_000;
  using folder = temporaryFolder();
  const errors: Error[] = [];
  const onError = (error: Error): void => void errors.push(error);
  const open = async () => {
    const store = createSegmentStore({ directory: folder.path, clock: systemClock, minFreeBytes: 0, onError });
    await store.open();
    return store;
  };
  const first = await open();
  await first.commit(sampleMessage("many", recipients).message, createMemoryBlob([Buffer.from("x")]));
  for (let index = 1; index < recipients; index++) void first.settle("many", [{ index, outcome: delivered("ok") }]);
  await first.close();
  const again = await open();
  const entry = await again.entry("many");
  expect(entry?.pending).toEqual([0]);
  await again.close();
  expect(errors).toEqual([]);
});

test("outcomes that stand near each other come with one read, in whatever company", async () => {
  const recipients = 3000;
  const calls: DiskCall[] = [];
  const faults = { next: (call: DiskCall) => void calls.push(call) };
  const disk = SimulatedDisk.of(new Map(), ["", "/var"], seededRandom(1), faults);
  const onError = (error: Error): void => expect.unreachable(error.message);
  const open = async () => {
    const store = createSegmentStore({
      directory: "/var/queue",
      clock: systemClock,
      port: disk,
      random: seededRandom(2),
      minFreeBytes: 0,
      onError,
      handOffBytes: 0,
      segmentBytes: 200_000,
    });
    await store.open();
    return store;
  };
  const first = await open();
  const other = createMemoryBlob([Buffer.alloc(50_000)]);
  await first.commit(sampleMessage("many", recipients).message, createMemoryBlob([Buffer.from("x")]));
  for (let index = 0; index < recipients - 1; index += 1) {
    void first.settle("many", [{ index, outcome: delivered(`250 as number ${index}`) }]);
    if (index % 600 === 0) await first.commit(sampleMessage(`other${index}`, 1).message, other);
  }
  await first.close();
  const again = await open();
  calls.length = 0;
  const entry = await again.entry("many");
  expect(entry?.pending).toEqual([recipients - 1]);
  expect(entry?.settled.map(({ index, outcome }) => [index, outcome.text])).toEqual(
    Array.from({ length: recipients - 1 }, (_, index) => [index, `250 as number ${index}`]),
  );
  expect(calls.filter((call) => call === "read").length).toBeLessThan(20);
  await again.close();
});
