// Tables whose file is replaced under their lookups: every answer is of the old or of the new version, none is missing.
import { mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError, TableUnavailable, type LookupTable, type TableScope } from "@postern/core";
import { createFakeClock, type FakeClock } from "@postern/testkit";
import { sample } from "../../../test/sampling.ts";
import { pollMs } from "./follow/followed-file.ts";
import { buildCdb, tableTypes } from "./index.ts";

let folder: string;
let clock: FakeClock;
let warnings: string[];
let table: LookupTable | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-reload-"));
  clock = createFakeClock();
  warnings = [];
  writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\n");
  utimesSync(join(folder, "main.cf"), 1e9, 1e9);
});
afterEach(async () => {
  await table?.close();
  table = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function open(type: string, name = "table"): Promise<LookupTable> {
  const scope: TableScope = {
    directory: folder,
    clock,
    purpose: {},
    warn: (message) => warnings.push(message.replaceAll(folder, "")),
    open: () => Promise.reject(new Error("no table inside of a table")),
  };
  const found = tableTypes.find((candidate) => candidate.type === type);
  if (found === undefined) throw new Error(`no type ${type}`);
  table = await found.open(name, scope, {});
  return table;
}

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function poll(times = 1): Promise<void> {
  for (let count = 0; count < times; count++) {
    clock.advance(pollMs);
    while (clock.pending === 0) await breathe();
  }
}

const keys = Array.from({ length: 500 }, (_, index) => `key${index}@example.test`);
const textOf = (version: number): string => keys.map((key) => `${key} version${version}\n`).join("");
const hasPostmap = ((): boolean => {
  try {
    return /^lmdb$/m.test(execFileSync("postconf", ["-m"], { encoding: "utf8" }));
  } catch {
    return false;
  }
})();

interface Replacing {
  readonly type: string;
  /** Puts this version in the place of the one before, in one step. */
  readonly replace: (version: number) => Promise<void>;
}

const replacing: readonly Replacing[] = [
  {
    type: "hash",
    async replace(version) {
      writeFileSync(join(folder, "draft"), textOf(version));
      renameSync(join(folder, "draft"), join(folder, "table"));
    },
  },
  {
    type: "cdb",
    async replace(version) {
      await buildCdb(
        keys.map((key) => ({ key, value: `version${version}` })),
        join(folder, "table.cdb"),
      );
    },
  },
  {
    type: "lmdb",
    async replace(version) {
      writeFileSync(join(folder, "table"), textOf(version));
      // postmap waits until its files are no longer hot.
      utimesSync(join(folder, "table"), 1e9, 1e9 + version);
      await promisify(execFile)("postmap", ["-c", folder, `lmdb:${join(folder, "table")}`]);
    },
  },
];

test.for(replacing)("$type is replaced many times under its lookups", async ({ type, replace }, { skip }) => {
  if (type === "lmdb") skip(!hasPostmap, "there is no postmap with lmdb");
  await replace(0);
  const opened = await open(type);
  let newest = 0;
  const ask = (): void => {
    for (const key of keys) {
      const found = Number(/^version(\d+)$/.exec((opened.lookup(key) as string | undefined) ?? "")?.[1] ?? -1);
      expect(found).toBeGreaterThanOrEqual(newest);
      newest = found;
    }
  };
  const versions = type === "lmdb" ? sample(20, 100) : 100;
  for (let version = 1; version <= versions; version++) {
    const done = replace(version);
    clock.advance(pollMs);
    ask();
    await done;
    ask();
    await breathe();
    ask();
    // A text is not read while it changes at each poll.
    if (version % 10 === 0) await poll(2);
  }
  await poll(4);
  ask();
  expect(newest).toBe(versions);
  expect(warnings).toEqual([]);
});

test("a text that has not one entry is no table any more; one that was emptied is", async () => {
  const path = join(folder, "table");
  writeFileSync(path, "a b\n");
  const opened = await open("hash");
  writeFileSync(path, Buffer.from([0xff, 0xfe, 0x20, 0xff, 0x0a]));
  await poll(3);
  expect(opened.lookup("a")).toBe("b");
  expect(warnings).toEqual([
    "table hash:table: /table: not one of its lines is an entry (/table, line 1: malformed UTF-8 -- ignoring this line); what was read before stays in use",
  ]);
  writeFileSync(path, "# nobody left\n");
  await poll(3);
  expect(opened.lookup("a")).toBeUndefined();
});

test("a cdb that was cut short or is another format keeps the old one, and recovers", async () => {
  const path = join(folder, "table.cdb");
  await buildCdb([{ key: "a", value: "b" }], path);
  const opened = await open("cdb");
  writeFileSync(path, "not a database");
  await poll(3);
  expect(opened.lookup("a")).toBe("b");
  await buildCdb([{ key: "a", value: "c" }], path);
  await poll(3);
  expect(opened.lookup("a")).toBe("c");
  expect(warnings).toEqual([
    "table cdb:table: /table.cdb: it is no cdb file: too short; what was read before stays in use",
    "table cdb:table: /table.cdb: it is sound again, and in use",
  ]);
});

test("wrong lines are told for the version that is taken", async () => {
  writeFileSync(join(folder, "table"), "a b\nlonely\n");
  await open("btree");
  expect(warnings).toEqual(["/table, line 2: expected format: key whitespace value -- ignoring this line"]);
});

test("a value that is no UTF-8 has no answer, the others have", async () => {
  const path = join(folder, "table.cdb");
  await buildCdb(
    [
      { key: "a", value: "caf@" },
      { key: "b", value: "ok" },
    ],
    path,
  );
  const octets = readFileSync(path);
  octets[octets.indexOf("caf@") + 3] = 0xe9;
  writeFileSync(path, octets);
  const opened = await open("cdb");
  expect(() => opened.lookup("a")).toThrow(expect.objectContaining({ code: "TABLE_UNAVAILABLE", onlyThisKey: true }));
  expect(opened.lookup("b")).toBe("ok");
});

test("a source that was edited and not built is told of", async () => {
  await buildCdb([{ key: "a", value: "b" }], join(folder, "table.cdb"));
  writeFileSync(join(folder, "table"), "a c\n");
  const now = clock.now() / 1000;
  utimesSync(join(folder, "table.cdb"), now - 1_000, now - 1_000);
  utimesSync(join(folder, "table"), now - 500, now - 500);
  const opened = await open("cdb");
  expect(opened.lookup("a")).toBe("b");
  expect(warnings).toEqual(["table cdb:table: /table.cdb is older than its source /table"]);
});

test("after close() a lookup is unavailable", async () => {
  writeFileSync(join(folder, "table"), "a b\n");
  const opened = await open("hash");
  await opened.close();
  expect(() => opened.lookup("a")).toThrow(TableUnavailable);
  expect(clock.pending).toBe(0);
});

test.for([
  { type: "hash", files: {}, message: "table hash:table: /table: there is no such file" },
  {
    type: "hash",
    files: { "table.db": "x" },
    message:
      "table hash:table: there is /table.db but not its source /table; hash and btree are read from the text, which `postmap -s hash:table` prints",
  },
  { type: "cdb", files: { table: "a b\n" }, message: "table cdb:table: /table.cdb: there is no such file" },
  {
    type: "lmdb",
    files: { "table.lmdb": "" },
    message: "table lmdb:table: /table.lmdb: it is no LMDB file of format 1 for 64 bits, little-endian",
  },
])("$type, $files", async ({ type, files, message }) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const error: unknown = await open(type).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message.replaceAll(folder, "")).toBe(message);
});
