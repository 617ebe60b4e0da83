import { expect, test } from "vitest";
import { createMemoryBlob } from "../message/index.ts";
import { HandOff } from "./hand-off.ts";
import { sampleMessage } from "./store-suite.ts";

function bench(maxBytes: number) {
  let now = 0;
  const clock = { now: () => 0, monotonic: () => now, setTimer: () => ({ cancel: () => undefined }) };
  const handOff = new HandOff(maxBytes, clock);
  const put = (id: string, ...chunks: Buffer[]): boolean => {
    handOff.put(sampleMessage(id).message, createMemoryBlob(chunks));
    return handOff.get(id) !== undefined;
  };
  return { handOff, put, advance: (ms: number) => void (now += ms) };
}

const large = () => Buffer.allocUnsafeSlow(10_000);

test("what came first is held until it is delivered; what comes when there is no room is not", () => {
  const { handOff, put } = bench(25_000);
  expect(["a", "b", "c"].map((id) => put(id, large()))).toEqual([true, true, false]);
  handOff.delete("a");
  expect(put("d", large())).toBe(true);
  expect(handOff.get("b")).toBeDefined();
});

test("what was not delivered at once makes room, the oldest first and no more than is needed", () => {
  const { handOff, put, advance } = bench(25_000);
  put("a", large());
  put("b", large());
  advance(60_000);
  expect(put("c", large())).toBe(true);
  expect(handOff.get("a")).toBeUndefined();
  expect(handOff.get("b")).toBeDefined();
});

test("parts of one buffer keep it alive once, whatever their size", () => {
  const { put } = bench(25_000);
  const whole = large();
  expect(put("a", whole.subarray(0, 10), whole.subarray(20, 30), whole.subarray(50, 60))).toBe(true);
  expect(put("b", large().subarray(0, 1))).toBe(true);
  expect(put("c", large().subarray(0, 1))).toBe(false);
});
