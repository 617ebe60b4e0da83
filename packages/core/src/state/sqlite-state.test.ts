import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSqliteState } from "./sqlite-state.ts";
import { stateStoreCases } from "./state-suite.ts";

const clock = { now: () => 1_780_000_000_000 };
let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "postern-state-"));
});
afterEach(() => rmSync(parent, { recursive: true }));

for (const { name, run } of stateStoreCases) {
  test(name, () => run((moved) => openSqliteState({ directory: join(parent, "state"), clock: moved })));
}

test("what was put is there after a restart; folder and files are ours alone", async () => {
  const directory = join(parent, "state");
  const store = openSqliteState({ directory, clock });
  await store.space("a").put("k", { v: 1 }, 1000);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(readdirSync(directory).length).toBeGreaterThan(1); // the WAL too
  for (const file of readdirSync(directory)) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
  await store.close();
  const again = openSqliteState({ directory, clock });
  expect(await again.space("a").get("k")).toEqual({ v: 1 });
  await again.close();
});

describe("one clear sentence", () => {
  test("for a parent that does not exist", () => {
    const directory = join(parent, "no", "state");
    expect(() => openSqliteState({ directory, clock })).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: `state.directory ${directory} cannot be used: its parent ${join(parent, "no")} does not exist`,
      }),
    );
  });

  test.each([
    [
      "no database at all",
      (path: string) => writeFileSync(path, "x".repeat(10_000)),
      /cannot be used: file is not a database/,
    ],
    [
      "a database cut short",
      (path: string) => truncateSync(path, 5000),
      /cannot be used: database disk image is malformed/,
    ],
  ])("for %s", async (_what, harm, message) => {
    const directory = join(parent, "state");
    const store = openSqliteState({ directory, clock });
    for (let at = 0; at < 500; at += 1) await store.space("a").put(`k${at}`, "v".repeat(100), 1000);
    await store.close();
    harm(join(directory, "state.sqlite"));
    expect(() => {
      const harmed = openSqliteState({ directory, clock });
      try {
        void harmed.space("a").scan("", 1000);
      } finally {
        void harmed.close();
      }
    }).toThrow(expect.objectContaining({ code: "STORE_UNAVAILABLE", message: expect.stringMatching(message) }));
  });

  test("for one that another process has locked, and it goes on afterwards", async () => {
    const directory = join(parent, "state");
    const store = openSqliteState({ directory, clock });
    const other = new DatabaseSync(join(directory, "state.sqlite"));
    other.exec("BEGIN IMMEDIATE");
    const locked = expect.objectContaining({
      code: "STORE_UNAVAILABLE",
      message: expect.stringMatching(/database is locked/),
    });
    expect(() => store.space("a").put("k", 1, 1000)).toThrow(locked);
    expect(() => store.space("a").update("k", 1000, () => 1)).toThrow(locked);
    other.exec("COMMIT");
    other.close();
    await store.space("a").put("k", 1, 1000);
    await store.close();
  });
});

test("a disk that takes no more is an error to catch, and what was there stays readable", () => {
  // A limit on file size is the one full disk that needs no root; SQLite meets ENOSPC on the same way.
  const module = JSON.stringify(join(import.meta.dirname, "sqlite-state.ts"));
  const script = `
    const { openSqliteState } = await import(${module});
    const space = openSqliteState({ directory: process.argv[1], clock: { now: () => 0 } }).space("a");
    space.put("first", 1, 1000);
    let code;
    for (let at = 0; at < 5000 && code === undefined; at += 1) {
      try { space.put("k" + at, "v".repeat(1000), 1000); } catch (error) { code = error.code; }
    }
    console.log(code, space.get("first"));`;
  const limited = `ulimit -f 1024; exec "$0" --conditions=@postern/source --input-type=module -e "$1" "$2"`;
  const out = execFileSync("sh", ["-c", limited, process.execPath, script, join(parent, "state")], {
    encoding: "utf8",
  });
  expect(out).toBe("STORE_UNAVAILABLE 1\n");
});

test("a state of a newer version is left alone", async () => {
  const directory = join(parent, "state");
  await openSqliteState({ directory, clock }).close();
  const database = new DatabaseSync(join(directory, "state.sqlite"));
  database.exec("PRAGMA user_version = 99");
  database.close();
  expect(() => openSqliteState({ directory, clock })).toThrow(/newer version/);
});
