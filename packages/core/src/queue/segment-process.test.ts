/** Real files and real processes: folders, locks, kill -9. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../model/index.ts";
import { createSegmentStore } from "./segment-store.ts";
import { readAll, sampleMessage } from "./store-suite.ts";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "postern-queue-"));
});
afterEach(() => rmSync(parent, { recursive: true }));
const storeIn = (directory: string) => createSegmentStore({ directory, clock: systemClock });

describe("the folder", () => {
  test("is made for us alone, files too", async () => {
    const directory = join(parent, "queue");
    const store = storeIn(directory);
    await store.open();
    const { message, content } = sampleMessage("a");
    await store.commit(message, content);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const [segment] = readdirSync(join(directory, "log"));
    expect(statSync(join(directory, "log", segment as string)).mode & 0o777).toBe(0o600);
    await store.close();
  });

  test.each([
    [
      "without a parent",
      (folder: string) => join(folder, "no", "queue"),
      /^queue\.directory .*queue cannot be used: its parent .*no does not exist$/,
    ],
    [
      "that is a file",
      (folder: string) => (writeFileSync(join(folder, "file"), ""), join(folder, "file")),
      /cannot be used: it is not a folder$/,
    ],
  ])("%s is one clear sentence", async (_what, where, sentence) => {
    await expect(storeIn(where(parent)).open()).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(sentence),
    });
  });

  test.skipIf(process.getuid?.() === 0)("that is not writable is one clear sentence", async () => {
    chmodSync(parent, 0o500);
    await expect(storeIn(join(parent, "queue")).open()).rejects.toMatchObject({
      message: expect.stringMatching(/not writable/),
    });
    chmodSync(parent, 0o700);
  });

  test("has one holder, who may come back", async () => {
    const directory = join(parent, "queue");
    const store = storeIn(directory);
    await store.open();
    await expect(storeIn(directory).open()).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await store.close();
    await store.open();
    await store.close();
  });

  test("with leftovers of others in it is used all the same", async () => {
    const directory = join(parent, "queue");
    mkdirSync(join(directory, "log"), { recursive: true });
    writeFileSync(join(directory, "log", "README"), "hello");
    writeFileSync(join(directory, "lock"), "");
    const store = storeIn(directory);
    expect(await store.open()).toEqual({ waiting: 0, damage: [] });
    await store.close();
    expect(existsSync(join(directory, "log", "README"))).toBe(true);
  });
});

/** Commits, settles and removes as fast as it can, and says on its output what was acknowledged. */
const writer = `
  const { createSegmentStore } = await import(${JSON.stringify(join(import.meta.dirname, "segment-store.ts"))});
  const { sampleMessage } = await import(${JSON.stringify(join(import.meta.dirname, "store-suite.ts"))});
  const { systemClock, delivered } = await import(${JSON.stringify(join(import.meta.dirname, "../model/index.ts"))});
  const { createMemoryBlob } = await import(${JSON.stringify(join(import.meta.dirname, "../message/index.ts"))});
  const { writeSync } = await import("node:fs");
  const [, directory, round] = process.argv;
  const store = createSegmentStore({ directory, clock: systemClock, segmentBytes: 200_000, spoolAboveBytes: 20_000 });
  await store.open();
  writeSync(1, "open\\n");
  let next = 0;
  async function write() {
    for (;;) {
      const mine = next++;
      const id = round + "-" + mine;
      const { message } = sampleMessage(id, 2);
      await store.commit(message, createMemoryBlob([Buffer.alloc(mine % 50 === 0 ? 30_000 : 1000, id)]));
      writeSync(1, "commit " + id + "\\n");
      if (mine % 3 === 0) store.settle(id, [{ index: 0, outcome: delivered("ok") }]).then(() => writeSync(1, "settle " + id + "\\n"));
      if (mine % 4 === 0) store.remove(id).then(() => writeSync(1, "remove " + id + "\\n"));
    }
  }
  for (let at = 0; at < 10; at += 1) write();
`;

async function untilLine(child: ChildProcess, said: string[], count: number): Promise<void> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on("line", (line) => {
    said.push(line);
    if (said.length === count) child.kill("SIGKILL");
  });
  await Promise.all([once(child, "exit"), once(lines, "close")]);
}

test("kill -9 in the middle, again and again: what was acknowledged is there, whole, and nothing is locked", async () => {
  const directory = join(parent, "queue");
  const here = new Map<string, { settled: boolean }>();
  const asked = new Set<string>();
  for (let round = 0; round < 6; round += 1) {
    const args = ["--conditions=@postern/source", "--input-type=module", "-e", writer, directory, `r${round}`];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const said: string[] = [];
    await untilLine(child, said, 150 + round * 97);
    const removed = new Set<string>();
    for (const line of said) {
      const [word, id = ""] = line.split(" ");
      if (word === "commit") here.set(id, { settled: false });
      if (word === "settle") (here.get(id) ?? { settled: true }).settled = true;
      if (word === "remove") removed.add(id);
      // Asked for with the commit's acknowledgement; the kill came before its own.
      if (word === "commit" && Number(id.split("-")[1]) % 4 === 0) asked.add(id);
    }
    const store = storeIn(directory);
    const { damage } = await store.open();
    expect(damage).toEqual([]);
    const found = new Set([...store.waiting()].map(({ id }) => id));
    for (const [id, { settled }] of here) {
      if (removed.has(id) || (asked.has(id) && !found.has(id))) {
        expect(found.has(id)).toBe(false);
        here.delete(id);
        continue;
      }
      expect(found.has(id), `${id} is there`).toBe(true);
      const octets = await readAll(await store.content(id));
      expect(octets.equals(Buffer.alloc(octets.length, id)) && octets.length >= 1000, `${id} is whole`).toBe(true);
      if (settled) expect((await store.entry(id))?.pending).toEqual([1]);
    }
    // What was committed and not yet acknowledged may be there too: ten at most, one for each writer.
    for (const id of found) if (!here.has(id)) here.set(id, { settled: false });
    await store.close();
  }
  expect(here.size).toBeGreaterThan(500);
});
