// The plugin as a gateway has it.
import { openPlugin, testScanner } from "@postern/testkit";
import { expect, test } from "vitest";
import clamd from "./index.ts";

test("the entry's onError and deadline are the scanner's; `as` names a second one", async () => {
  const options = { address: "unix:clamd.sock", onInfected: "reject", onError: "defer" };
  const one = await openPlugin(clamd, options);
  expect(one.scanners.map(({ owner, scanner }) => [owner, scanner.name])).toEqual([
    [{ name: "av-clamd", onError: "defer", deadlineMs: 30_000 }, "av-clamd"],
  ]);
  const two = await openPlugin(clamd, { ...options, as: "second", deadline: "5s", onError: { tooLarge: "skip" } });
  expect(two.scanners[0]?.owner).toEqual({ name: "second", onError: { tooLarge: "skip" }, deadlineMs: 5_000 });
});

test("without onError it does not start: nobody knows what should stand when clamd is down", async () => {
  await expect(openPlugin(clamd, { address: "unix:clamd.sock" })).rejects.toThrow(/"onError" is missing/);
});

test("a socket path is one below the config's folder, and nobody there means down", async () => {
  const { scanners } = await openPlugin(
    clamd,
    { address: "unix:clamd.sock", onError: "defer" },
    { directory: "/nonexistent" },
  );
  const [owned] = scanners;
  if (owned === undefined) throw new Error("no scanner");
  await testScanner(owned.scanner, { cases: [{ name: "down", expect: { fails: "down" } }] });
});
