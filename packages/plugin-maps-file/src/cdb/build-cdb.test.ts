// The writer's promises that postmap's own file cannot show: the first of equal keys, the old file until the new one is whole.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildCdb, type CdbEntry } from "./build-cdb.ts";
import { openCdb } from "./cdb-file.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-cdb-"));
  path = join(folder, "table.cdb");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function pairsOf(file: string): Promise<string[]> {
  const cdb = await openCdb(file);
  return [...cdb.pairs()].map(([key, value]) => `${key.toString()}=${value.toString()}`);
}

test("keys are folded, the first of equal ones stays and the others are named", async () => {
  const entries = [
    { key: "Ann@Example", value: "One" },
    { key: "b", value: "two" },
    { key: "ann@EXAMPLE", value: "three" },
    { key: "ÄRA", value: "four" },
  ];
  expect(await buildCdb(entries, path)).toEqual({ records: 3, duplicates: ["ann@EXAMPLE"] });
  expect(await pairsOf(path)).toEqual(["ann@example=One", "b=two", "ära=four"]);
});

test("a building that fails leaves the old file and nothing else", async () => {
  await buildCdb([{ key: "a", value: "b" }], path);
  const before = readFileSync(path);
  function* failing(): Generator<CdbEntry> {
    for (let index = 0; index < 100_000; index++) yield { key: `key${index}`, value: "x".repeat(50) };
    throw new Error("the source ended");
  }
  await expect(buildCdb(failing(), path)).rejects.toThrow("the source ended");
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(folder)).toEqual(["table.cdb"]);
});

test("the mode of the old file stays; what a killed building left is in nobody's way", async () => {
  writeFileSync(path, "", { mode: 0o640 });
  writeFileSync(`${path}.tmp`, "half");
  await buildCdb([{ key: "a", value: "b" }], path);
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(await pairsOf(path)).toEqual(["a=b"]);
});
