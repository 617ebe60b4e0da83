import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { applyEdits, type Blob, createMessage, createSpooler, type Edit, type Spool } from "../message/index.ts";
import { systemClock } from "../model/index.ts";
import { createSegmentStore } from "./segment-store.ts";
import type { QueueStore } from "./store.ts";
import { queueStoreCases, readAll, sampleMessage } from "./store-suite.ts";

const folders: string[] = [];
function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), "postern-queue-"));
  folders.push(parent);
  return join(parent, "queue");
}
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** As it is, and with files for what else goes into the log. */
const spoolAbove = [undefined, 1000] as const;

async function openIn(directory: string, spoolAboveBytes: number | undefined) {
  const options = spoolAboveBytes === undefined ? {} : { spoolAboveBytes };
  const store = createSegmentStore({ directory, clock: systemClock, ...options });
  await store.open();
  return store;
}

describe.each(spoolAbove)("files for contents above %s octets", (spoolAboveBytes) => {
  for (const { name, run } of queueStoreCases) {
    test(name, () =>
      run(async () => {
        const directory = newFolder();
        const store = await openIn(directory, spoolAboveBytes);
        const reopen = async () => {
          await store.close();
          return openIn(directory, spoolAboveBytes);
        };
        return { store, reopen };
      }),
    );
  }
});

describe("a content that came in a file", () => {
  const octets = Buffer.from("Subject: x\r\n\r\n" + "body\r\n".repeat(100_000));
  const spool = async (store: QueueStore): Promise<Spool> => {
    const files = store.incoming;
    if (files === undefined) throw new Error("no files");
    const incoming = createSpooler({ files, maxSizeBytes: 10_000_000, thresholdBytes: 1000 }).open();
    for (let at = 0; at < octets.length; at += 50_000) await incoming.write(octets.subarray(at, at + 50_000));
    return incoming;
  };
  const filesIn = (directory: string): string[] => readdirSync(join(directory, "spool")).toSorted();

  test("becomes the queue's without being copied, under new header fields, and is read back after a restart", async () => {
    const directory = newFolder();
    const store = await openIn(directory, undefined);
    const incoming = await spool(store);
    const [name = ""] = filesIn(directory);
    const { ino } = statSync(join(directory, "spool", name));
    const whole = createMessage((await incoming.end()) as Blob);
    const edits: Edit[] = [{ kind: "replaceHeader", name: "Subject", value: "another" }];
    const { raw } = (await applyEdits(whole, edits)).message;
    const expected = Buffer.concat([Buffer.from("Subject: another\r\n\r\n"), octets.subarray(14)]);
    await store.commit(sampleMessage("a1").message, raw);
    expect((await readAll(await store.content("a1"))).equals(expected)).toBe(true);
    // A second message with the same octets gets a file of its own.
    await store.commit(sampleMessage("a2").message, raw);
    await incoming.dispose();
    expect(filesIn(directory)).toEqual(["a1.body", "a2.body"]);
    expect(statSync(join(directory, "spool", "a1.body")).ino).toBe(ino);
    await store.remove("a2");
    await store.close();
    const again = await openIn(directory, undefined);
    const content = await again.content("a1");
    expect((await readAll(content)).equals(expected)).toBe(true);
    expect((await readAll(content?.slice(15, 30))).equals(expected.subarray(15, 30))).toBe(true);
    await again.remove("a1");
    await again.close();
    expect(filesIn(directory)).toEqual([]);
  });

  test("leaves nothing when it is not committed, when its commit is refused, or when the process dies before", async () => {
    const directory = newFolder();
    const store = await openIn(directory, undefined);
    const given = await spool(store);
    await given.dispose();
    expect(filesIn(directory)).toEqual([]);
    const refused = await spool(store);
    const content = (await refused.end()) as Blob;
    await expect(store.commit(sampleMessage("../a").message, content)).rejects.toMatchObject({ temporary: true });
    await refused.dispose();
    expect(filesIn(directory)).toEqual([]);
    const forgotten = await spool(store);
    expect(filesIn(directory).length).toBe(1);
    await store.close();
    const again = await openIn(directory, undefined);
    expect(filesIn(directory)).toEqual([]);
    await forgotten.dispose();
    await again.close();
  });
});
