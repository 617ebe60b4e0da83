// The excuse of a machine that stood still: given to whoever has it, and to nobody else.
import { expect, test } from "vitest";
import { undisturbed } from "./undisturbed.ts";

test("what fails by itself fails, at the first time", async () => {
  let tries = 0;
  const failing = undisturbed(() => {
    tries += 1;
    throw new Error("by itself");
  });
  await expect(failing).rejects.toThrow("by itself");
  expect(tries).toBe(1);
});

test("what fails while nothing could run is tried again, and not for ever", async () => {
  const standStill = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120);
  let tries = 0;
  const answer = await undisturbed(async () => {
    tries += 1;
    if (tries > 2) return "well";
    standStill();
    throw new Error("too late");
  });
  expect([answer, tries]).toEqual(["well", 3]);
  const never = undisturbed(() => {
    standStill();
    throw new Error("too late");
  });
  await expect(never).rejects.toThrow("too late");
});
