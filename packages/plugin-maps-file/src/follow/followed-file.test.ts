// The life of a followed file, poll by poll: the clock is moved by hand, the files are real.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError, TableUnavailable } from "@postern/core";
import { createFakeClock, type FakeClock } from "@postern/testkit";
import { BrokenFile } from "./broken-file.ts";
import { FollowedFile, pollMs, type FollowOptions } from "./followed-file.ts";

let folder: string;
let path: string;
let clock: FakeClock;
let warnings: string[];
let opened: FollowedFile<string> | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-follow-"));
  path = join(folder, "file");
  clock = createFakeClock();
  warnings = [];
  writeFileSync(path, "one");
});
afterEach(async () => {
  await opened?.close();
  opened = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function follow(options: Partial<FollowOptions<string>> = {}): Promise<FollowedFile<string>> {
  opened = await FollowedFile.open<string>({
    path,
    label: "hash:file",
    scope: { clock, warn: (message) => warnings.push(message.replaceAll(folder, "")) },
    load: async () => {
      const text = readFileSync(path, "utf8");
      if (text.startsWith("broken")) throw new BrokenFile(`it says ${text}`);
      return text;
    },
    settles: true,
    ...options,
  });
  return opened;
}

/** One poll from its timer to its end: then it waits for the next. */
async function poll(times = 1): Promise<void> {
  for (let count = 0; count < times; count++) {
    clock.advance(pollMs);
    while (clock.pending === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** A time stamp of its own, since two writes in one tick of the kernel have the same. */
let stamp = 1_700_000_000;
function write(text: string): void {
  writeFileSync(path, text);
  stamp += 1;
  utimesSync(path, stamp, stamp);
}

test("a change that stands for one poll is in use, within a second", async () => {
  const file = await follow();
  write("two");
  await poll();
  expect(file.current).toBe("one");
  await poll();
  expect(file.current).toBe("two");
  expect(2 * pollMs).toBeLessThan(1000);
  expect(warnings).toEqual([]);
});

test("what is still being written is never read", async () => {
  const read: string[] = [];
  const file = await follow({
    load: async () => {
      read.push(readFileSync(path, "utf8"));
      return read.at(-1) ?? "";
    },
  });
  for (const part of ["t", "tw", "two"]) {
    write(part);
    await poll();
  }
  expect(file.current).toBe("one");
  await poll();
  expect(file.current).toBe("two");
  expect(read).toEqual(["one", "two"]);
});

test("a file that was written in the same tick as it was read is read once more", async () => {
  clock = createFakeClock(statSync(path).ctimeMs);
  let loads = 0;
  await follow({ load: async () => String((loads += 1)) });
  await poll(20);
  expect(loads).toBe(2);
});

test("an atomic format needs no waiting", async () => {
  const file = await follow({ settles: false });
  write("two");
  await poll();
  expect(file.current).toBe("two");
});

test("a file renamed into the place is seen, even with the same size and time", async () => {
  const file = await follow();
  const { atime, mtime } = statSync(path);
  writeFileSync(join(folder, "new"), "two");
  utimesSync(join(folder, "new"), atime, mtime);
  renameSync(join(folder, "new"), path);
  await poll(2);
  expect(file.current).toBe("two");
});

test("a file that is away for one poll, as editors do", async () => {
  const file = await follow();
  rmSync(path);
  await poll();
  write("two");
  await poll(2);
  expect(file.current).toBe("two");
  expect(warnings).toEqual([]);
});

test("a file that is gone: the old entries stay, said once; back again, said once", async () => {
  const file = await follow();
  rmSync(path);
  await poll(50);
  expect(file.current).toBe("one");
  expect(warnings).toEqual(["table hash:file: /file: there is no such file; what was read before stays in use"]);
  write("two");
  await poll(3);
  expect(file.current).toBe("two");
  expect(warnings.slice(1)).toEqual(["table hash:file: /file: it is sound again, and in use"]);
});

test("a broken version keeps the old one and is read once; another mistake is said too; the old content is sound", async () => {
  let loads = 0;
  const file = await follow({
    load: async () => {
      loads += 1;
      const text = readFileSync(path, "utf8");
      if (text.startsWith("broken")) throw new BrokenFile(`it says ${text}`);
      return text;
    },
  });
  write("broken");
  await poll(40);
  expect([file.current, loads]).toEqual(["one", 2]);
  write("broken more");
  await poll(10);
  write("one");
  await poll(2);
  expect([file.current, loads]).toEqual(["one", 4]);
  expect(warnings).toEqual([
    "table hash:file: /file: it says broken; what was read before stays in use",
    "table hash:file: /file: it says broken more; what was read before stays in use",
    "table hash:file: /file: it is sound again, and in use",
  ]);
});

test("a folder in the file's place, and the file again", async () => {
  const file = await follow();
  renameSync(path, join(folder, "aside"));
  mkdirSync(path);
  await poll(3);
  expect(file.current).toBe("one");
  expect(warnings).toHaveLength(1);
  rmdirSync(path);
  renameSync(join(folder, "aside"), path);
  await poll(3);
  expect(warnings[1]).toMatch(/sound again/);
});

test("a reading that the system failed is tried again though the file did not change", async () => {
  let failures = 0;
  const file = await follow({
    load: async () => {
      const text = readFileSync(path, "utf8");
      if (text === "two" && failures++ < 2) throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
      return text;
    },
  });
  write("two");
  await poll(2);
  expect([file.current, warnings.length]).toEqual(["one", 1]);
  expect(warnings[0]).toMatch(/it cannot be read \(EMFILE\)/);
  await poll(40);
  expect(file.current).toBe("two");
  expect(warnings).toHaveLength(2);
});

test("a file that never rests is complained about", async () => {
  const file = await follow();
  for (let count = 0; count < 60; count++) {
    write(`text ${count}`);
    await poll();
  }
  expect(file.current).toBe("one");
  expect(warnings).toEqual(["table hash:file: /file: it changes while it is read; what was read before stays in use"]);
});

test("versions are freed when they are replaced and at the end; nothing is left behind", async () => {
  const freed: string[] = [];
  const file = await follow({ free: (old) => freed.push(old) });
  write("two");
  await poll(2);
  expect(freed).toEqual(["one"]);
  await file.close();
  expect(freed).toEqual(["one", "two"]);
  expect(clock.pending).toBe(0);
  expect(() => file.current).toThrow(TableUnavailable);
});

test("closed while it reads", async () => {
  const freed: string[] = [];
  let go = (): void => undefined;
  let started = (): void => undefined;
  const begun = new Promise<void>((resolve) => (started = resolve));
  const file = await follow({
    free: (old) => freed.push(old),
    load: async () => {
      const text = readFileSync(path, "utf8");
      if (text !== "two") return text;
      started();
      await new Promise<void>((resolve) => (go = resolve));
      return text;
    },
  });
  write("two");
  await poll();
  clock.advance(pollMs);
  await begun;
  const closing = file.close();
  go();
  await closing;
  expect(freed.toSorted()).toEqual(["one", "two"]);
  expect(clock.pending).toBe(0);
});

test.for([
  { name: "no file", prepare: () => rmSync(path), message: /^table hash:file: .*\/file: there is no such file$/ },
  { name: "broken", prepare: () => writeFileSync(path, "broken"), message: /\/file: it says broken$/ },
])("opening: $name", async ({ prepare, message }) => {
  prepare();
  await expect(follow()).rejects.toThrow(ConfigError);
  await expect(follow()).rejects.toThrow(message);
});
