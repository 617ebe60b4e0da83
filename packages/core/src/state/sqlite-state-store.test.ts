import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import { undisturbed } from "../../../../test/undisturbed.ts";
import { openSqliteStateStore, type SqliteStateStoreOptions } from "./sqlite-state-store.ts";
import type { StateStore } from "./state-store.ts";
import { stateStoreCases } from "./state-store.fixture.ts";

let parent: string;
let directory: string;
let file: string;
let open: StateStore[];
let warnings: string[];

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "state-"));
  directory = join(parent, "state");
  file = join(directory, "state.sqlite");
  open = [];
  warnings = [];
});
afterEach(async () => {
  for (const store of open) await store.close();
  rmSync(parent, { recursive: true });
});

const now = 1_780_000_000_000;
const hour = 3_600_000;

function openStore(options: Partial<SqliteStateStoreOptions> = {}): StateStore {
  const warn = (message: string): void => void warnings.push(message);
  const store = openSqliteStateStore({ directory, clock: { now: () => now }, warn, ...options });
  open.push(store);
  return store;
}

/** What `call` throws. */
function fault(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** STORE_UNAVAILABLE with this sentence, which names no path. */
function unavailable(message: string) {
  return expect.objectContaining({ code: "STORE_UNAVAILABLE", temporary: true, message });
}

for (const { name, run } of stateStoreCases) test(name, () => run((clock) => openStore({ clock })));

for (const { name, run } of stateStoreCases) {
  test(`lazily written: ${name}`, () =>
    run((clock) => {
      const store = openStore({ clock });
      return { ...store, space: (space, options) => store.space(space, { ...options, lazy: true }) };
    }));
}

describe("what is written lazily", () => {
  const written = (): readonly string[] => {
    const database = new DatabaseSync(file, { readOnly: true });
    const rows = database.prepare("SELECT key FROM entries ORDER BY key").all() as unknown as { key: string }[];
    database.close();
    return rows.map(({ key }) => key);
  };

  test("is seen at once, and on the disk within a second", async () => {
    const space = openStore().space<number>("s", { lazy: true });
    for (let at = 0; at < 500; at++) void space.put(`k${at}`, at, hour);
    void space.delete("k7");
    expect(written()).toEqual([]);
    expect([space.get("k499"), space.get("k7")]).toEqual([499, undefined]);
    await undisturbed(async () => {
      if (written().length < 499) await expect.poll(written, { timeout: 1000 }).toHaveLength(499);
    });
    expect(space.get("k499")).toBe(499);
  });

  test("is on the disk when the store is closed", async () => {
    const store = openStore();
    void store.space<number>("s", { lazy: true }).put("k", 1, hour);
    await store.close();
    expect(written()).toEqual(["k"]);
  });

  test("without end is written by those who write", () => {
    const space = openStore().space<number>("s", { lazy: true });
    for (let at = 0; at < 25_000; at++) void space.put(`k${at}`, at, hour);
    expect(written().length).toBeGreaterThan(4000);
  });

  test("is refused while the disk takes nothing, and goes there when it does again", async () => {
    const space = openStore({ busyTimeoutMs: 1 }).space<number>("s", { lazy: true });
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    void space.put("before", 1, hour);
    await expect
      .poll(() => fault(() => space.put("meanwhile", 1, hour)))
      .toEqual(unavailable("the state store is locked by another process"));
    expect(fault(() => space.put("refused", 1, hour))).toBeDefined();
    expect([space.get("before"), space.get("refused")]).toEqual([1, undefined]);
    other.exec("COMMIT");
    other.close();
    await expect.poll(() => fault(() => space.put("after", 1, hour))).toBeUndefined();
    expect(written()).toContain("before");
  });
});

test("the first call waits for a lock, and none after it until it is gone", () => {
  const space = openStore({ busyTimeoutMs: 400 }).space<number>("s");
  const other = new DatabaseSync(file);
  const waitWhileLocked = (): number => {
    other.exec("BEGIN IMMEDIATE");
    const begun = performance.now();
    for (let at = 0; at < 10; at++) {
      expect(fault(() => space.put("k", at, hour))).toBeDefined();
      expect(space.get("k")).toBeUndefined();
    }
    const took = performance.now() - begun;
    other.exec("COMMIT");
    return took;
  };
  let took = waitWhileLocked();
  expect(took).toBeGreaterThan(300);
  // A machine that stands still adds to it; then another time shows it.
  for (let tries = 1; took >= 2000 && tries < 10; tries++) {
    void space.put("other", 1, hour);
    took = waitWhileLocked();
  }
  expect(took).toBeLessThan(2000);
  other.close();
  void space.put("k", 1, hour);
});

test("a file of layout 1 goes on, counted", async () => {
  mkdirSync(directory);
  const older = new DatabaseSync(file);
  older.exec(`
    CREATE TABLE entries (
      space TEXT NOT NULL, key TEXT NOT NULL, expires_at INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    CREATE INDEX entries_by_expiry ON entries (expires_at);
    PRAGMA user_version = 1`);
  for (let at = 0; at < 300; at++)
    older.exec(`INSERT INTO entries VALUES ('s', 'k${at}', ${now + hour + at}, '${at}')`);
  older.close();
  const store = openStore();
  const space = store.space<number>("s", { maxEntries: 100 });
  expect(space.scan("", 1000)).toHaveLength(100);
  expect([space.get("k199"), space.get("k200")]).toEqual([undefined, 200]);
  await store.close();
});

test("folder and files are private, also when the file was not", async () => {
  const modes = (): string[] =>
    [".", ...readdirSync(directory)].map(
      (name) => `${name} ${(statSync(join(directory, name)).mode & 0o777).toString(8)}`,
    );
  const umask = process.umask(0);
  try {
    const store = openStore();
    void store.space<number>("s").put("k", 1, hour);
    expect(modes()).toEqual([". 700", "state.sqlite 600", "state.sqlite-shm 600", "state.sqlite-wal 600"]);
    await store.close();
    chmodSync(file, 0o644);
    void openStore().space<number>("s").put("k", 1, hour);
    expect(modes()).toEqual([". 700", "state.sqlite 600", "state.sqlite-shm 600", "state.sqlite-wal 600"]);
  } finally {
    process.umask(umask);
  }
});

test("entries are there after reopening", async () => {
  const store = openStore();
  void store.space<StateObject>("s").put("k\0é", { a: ["\0", "ü"] }, hour);
  await store.close();
  expect(openStore().space("s").get("k\0é")).toEqual({ a: ["\0", "ü"] });
  expect(warnings).toEqual([]);
});
type StateObject = { readonly a: readonly string[] };

test("two connections to one file lose no increment and share leases", () => {
  const spaces = [openStore(), openStore()].map((store) => store.space<number | string>("s"));
  for (let at = 0; at < 500; at++) {
    for (const space of spaces) {
      void space.increment("n", 1, hour);
      void space.update("u", hour, (count) => Number(count ?? 0) + 1);
    }
  }
  // Each changes the entry while the other is in the middle of changing it.
  let nested = false;
  void spaces[0]?.update("u", hour, (count) => {
    if (!nested) void spaces[1]?.increment("u", 1, hour);
    nested = true;
    return Number(count ?? 0) + 1;
  });
  for (const space of spaces) expect([space.get("n"), space.get("u")]).toEqual([1000, 1002]);
  expect(spaces.map((space) => space.lease("l", "a", hour))).toEqual([true, true]);
  expect(spaces.map((space) => space.lease("l", "b", hour))).toEqual([false, false]);
});

test.each([
  ["a missing parent", () => join(parent, "no", "state"), /its parent .*no does not exist$/],
  ["a file in its place", () => (writeFileSync(directory, ""), directory), /it is not a folder$/],
  ["a file for a parent", () => (writeFileSync(directory, ""), join(directory, "state")), /it is not a folder$/],
])("%s is one sentence to the operator", (_, makeDirectory, sentence) => {
  const error = fault(() => openStore({ directory: makeDirectory() }));
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toMatch(sentence);
  expect((error as Error).message).toMatch(/^state\.directory \S+ cannot be used: /);
});

test("a file of a newer version is left alone", async () => {
  await openStore().close();
  const database = new DatabaseSync(file);
  database.exec("PRAGMA user_version = 7");
  database.close();
  const error = fault(() => openStore());
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toContain("was written by a newer version (layout 7, this one knows 2)");
  expect(readdirSync(directory)).toEqual(["state.sqlite"]);
});

test("a full file refuses in one sentence, reads on, and takes again after a sweep", async () => {
  let time = now;
  const store = openStore({ maxSizeBytes: 256 * 1024, clock: { now: () => time } });
  const space = store.space<string>("s");
  void space.put("first", "kept", 2 * hour);
  const fill = (): void => {
    for (let at = 0; at < 1000; at++) void space.put(`k${at}`, "x".repeat(2000), hour);
  };
  expect(fault(fill)).toEqual(unavailable("the state store is full"));
  expect(fault(() => space.increment("n", 1, hour))).toBeUndefined();
  expect(space.get("first")).toBe("kept");
  time += hour;
  expect(await store.sweep()).toBeGreaterThan(50);
  void space.put("again", "x".repeat(60_000), hour);
  expect(space.scan("", 10)).toHaveLength(2);
});

test("a disk that takes no more refuses in one sentence, and what was there stays readable", () => {
  // A limit on the size of files is the one full disk that needs no root.
  const module = JSON.stringify(join(import.meta.dirname, "sqlite-state-store.ts"));
  const script = `
    const { openSqliteStateStore } = await import(${module});
    const space = openSqliteStateStore({ directory: process.argv[1], clock: { now: () => 0 } }).space("s");
    space.put("first", 1, 1000);
    let error;
    for (let at = 0; at < 5000 && error === undefined; at++) {
      try { space.put("k" + at, "v".repeat(1000), 1000); } catch (caught) { error = caught; }
    }
    console.log(error?.code, error?.message, space.get("first"));`;
  const limited = `ulimit -f 1024; exec "$0" --conditions=@postern/source --input-type=module -e "$1" "$2"`;
  const out = execFileSync("sh", ["-c", limited, process.execPath, script, directory], { encoding: "utf8" });
  expect(out).toMatch(/^STORE_UNAVAILABLE the (state store is full|disk of the state store reports an error) 1\n$/);
});

test("a file that another process keeps locked refuses in one sentence, and takes again afterwards", () => {
  const space = openStore({ busyTimeoutMs: 1 }).space<number>("s");
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  expect(fault(() => space.put("k", 1, hour))).toEqual(unavailable("the state store is locked by another process"));
  expect(space.get("k")).toBeUndefined();
  other.exec("COMMIT");
  other.close();
  void space.put("k", 2, hour);
  expect(space.get("k")).toBe(2);
});

test("a file that is locked at the start refuses in one sentence", () => {
  mkdirSync(directory);
  const other = new DatabaseSync(file);
  other.exec("BEGIN EXCLUSIVE");
  expect(fault(() => openStore({ busyTimeoutMs: 1 }))).toEqual(
    unavailable("the state store is locked by another process"),
  );
  other.close();
});

test.each([
  ["no database at all", () => Buffer.from("this was never a database, ".repeat(1000))],
  ["one whose first page is noise", (octets: Buffer) => octets.fill(0xa5, 100, 4096)],
  ["one whose later pages are noise", (octets: Buffer) => octets.fill(0xa5, 4096)],
  ["one cut off in the middle", (octets: Buffer) => octets.subarray(0, 8192 + 100)],
])("a damaged file, %s, is set aside at the start or at first use", async (_, damage) => {
  const store = openStore();
  const space = store.space<string>("s");
  for (let at = 0; at < 200; at++) void space.put(`k${at}`, "x".repeat(1000), hour);
  await store.close();
  const damaged = damage(readFileSync(file));
  writeFileSync(file, damaged);

  const anew = openStore().space<string>("s");
  void anew.put("k1", "new", hour);
  expect(anew.scan("", 1000)).toEqual([["k1", "new"]]);
  const aside = readdirSync(directory).find((name) => name.includes("damaged"));
  expect(aside).toBe("state.sqlite.damaged-20260528T202640Z");
  expect(readFileSync(join(directory, aside ?? "")).subarray(8192, 12_000)).toEqual(damaged.subarray(8192, 12_000));
  expect(warnings).toEqual([
    expect.stringMatching(/^the state store was damaged: it is set aside as \S+damaged-\S+, and /),
  ]);
});

test("one that is damaged while open is replaced once, by whoever finds out first", () => {
  const first = openStore().space<string>("s");
  for (let at = 0; at < 200; at++) void first.put(`k${at}`, "x".repeat(1000), hour);
  const other = new DatabaseSync(file);
  other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  other.close();
  const second = openStore().space<string>("s");
  writeFileSync(file, readFileSync(file).fill(0xa5, 100));

  void second.put("k7", "new", hour);
  expect(second.get("k7")).toBe("new");
  expect(first.get("k7")).toSatisfy((value) => value === "new" || value === "x".repeat(1000));
  expect(warnings).toHaveLength(1);
});
