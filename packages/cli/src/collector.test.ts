import { expect, test } from "vitest";
import { BufferCollector, garbageBound, type Heap } from "./collector.ts";

const mib = 1024 * 1024;

function setUp(boundMib = 100) {
  const asked: string[] = [];
  let external = 10 * mib;
  const heap: Heap = {
    externalBytes: () => external,
    collect: ({ type, flavor = "regular" }) => void asked.push(`${type} ${flavor}`),
  };
  const collector = new BufferCollector(heap, boundMib * mib);
  return { asked, collector, hold: (mibs: number) => void (external = mibs * mib) };
}

test("the start's garbage is given back", () => {
  const { asked, collector } = setUp();
  collector.started();
  expect(asked).toEqual(["major last-resort"]);
});

test("a full collection only when buffers have grown by the bound since the last one", () => {
  const { asked, collector, hold } = setUp();
  collector.look();
  hold(99);
  collector.look();
  expect(asked).toEqual([]);
  hold(110);
  collector.look();
  expect(asked).toEqual(["major regular"]);
  // It left all of them: what is in use is no garbage, and is not looked for again and again.
  collector.look();
  hold(209);
  collector.look();
  expect(asked).toHaveLength(1);
  hold(20);
  collector.look();
  hold(120);
  collector.look();
  expect(asked).toHaveLength(2);
});

test("who receives much is looked at every 16 MiB", () => {
  const { asked, collector, hold } = setUp();
  hold(200);
  for (let count = 0; count < 255; count += 1) collector.received(64 * 1024);
  expect(asked).toEqual([]);
  collector.received(64 * 1024);
  expect(asked).toEqual(["major regular"]);
});

test("a large message's buffers are collected young, every 16 MiB", () => {
  const { asked, collector } = setUp();
  for (let count = 0; count < 48; count += 1) collector.spilled(mib);
  expect(asked).toEqual(["minor regular", "minor regular", "minor regular"]);
});

test.each([
  [1, 64],
  [4, 128],
  [8, 256],
  [64, 256],
])("a machine with %d GiB: %d MiB of garbage at most", (gib, bound) => {
  expect(garbageBound(gib * 1024 * mib) / mib).toBe(bound);
});
