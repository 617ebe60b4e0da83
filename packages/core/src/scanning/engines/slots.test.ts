import { expect, test } from "vitest";
import { NoSlot, Slots } from "./slots.ts";

const { signal } = new AbortController();

test("one that is called off leaves the line; a slot passes on; the line is bounded", async () => {
  const slots = new Slots(1, 1_000);
  const client = new AbortController();
  expect(slots.enter(signal)).toBeUndefined();
  const two = slots.enter(client.signal);
  const three = slots.enter(signal);
  client.abort();
  await expect(two).rejects.toMatchObject({ name: "NoSlot", reason: "timeout" });
  expect(() => slots.enter(client.signal)).toThrow(/called off/);
  const line = Array.from({ length: 999 }, () => slots.enter(signal));
  expect(() => slots.enter(signal)).toThrow(/too many wait/);
  slots.leave();
  await three;
  for (const one of line) {
    slots.leave();
    await one;
  }
  expect(slots.free).toBe(0);
  slots.leave();
  expect(slots.free).toBe(1);
});

test("no more at once than there are, in the order in which they came; a failure gives its slot back", async () => {
  const slots = new Slots(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const runs = ends.map(({ promise }, at) =>
    slots.run(signal, () => {
      begun.push(at);
      return promise;
    }),
  );
  expect(begun).toEqual([0, 1]);
  ends[1]?.reject(new Error("failed"));
  await expect(runs[1]).rejects.toThrow("failed");
  await expect.poll(() => begun).toEqual([0, 1, 2]);
  for (const { resolve } of ends) resolve();
  await Promise.allSettled(runs);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
  expect(slots.free).toBe(2);
});

test("who was called off before does not run", async () => {
  const slots = new Slots(1);
  await expect(slots.run(AbortSignal.abort(), () => Promise.reject(new Error("ran")))).rejects.toBeInstanceOf(NoSlot);
  expect(slots.free).toBe(1);
});

test("who is called off in the moment that it is let in does not run", async () => {
  const slots = new Slots(1);
  const client = new AbortController();
  const first = Promise.withResolvers<void>();
  const [one, two] = [
    slots.run(signal, () => first.promise),
    slots.run(client.signal, () => Promise.reject(new Error("ran"))),
  ];
  const freed = slots.leave.bind(slots);
  slots.leave = () => {
    freed();
    client.abort();
  };
  first.resolve();
  await one;
  await expect(two).rejects.toBeInstanceOf(NoSlot);
  expect(slots.free).toBe(1);
});

test("more slots let the first in line in; with fewer nobody enters before enough have left", async () => {
  const slots = new Slots(1);
  expect(slots.enter(signal)).toBeUndefined();
  const [two, three, four] = [slots.enter(signal), slots.enter(signal), slots.enter(signal)];
  slots.resize(3);
  await Promise.all([two, three]);
  slots.resize(1);
  let entered = false;
  const last = Promise.resolve(four).then(() => (entered = true));
  slots.leave();
  slots.leave();
  await Promise.resolve();
  expect([slots.free, entered]).toEqual([0, false]);
  slots.leave();
  await last;
  slots.leave();
  expect(slots.free).toBe(1);
});
