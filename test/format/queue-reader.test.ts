// A reader that was written from docs/queue-format.md alone finds in a queue what the store finds in it: after ordinary work,
// after failed writes, power cuts and bit rot, with the checkpoint and without.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { delivered, createMemoryBlob, type QueueStore, systemClock } from "@postern/core";
import { afterEach, describe, expect, test } from "vitest";
import { createSegmentStore } from "../../packages/core/src/queue/segment-store.ts";
import { SimulatedDisk } from "../../packages/core/src/queue/simulated-disk.ts";
import { sampleMessage } from "../../packages/core/src/queue/store-suite.ts";
import { randomFrom, sample } from "../sampling.ts";

const reader = join(import.meta.dirname, "queue_reader.py");
const hasPython = spawnSync("python3", ["--version"]).status === 0;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface Told {
  readonly checkpoint: boolean;
  readonly messages: Record<string, unknown>;
}

function readByPython(disk: SimulatedDisk, ...options: string[]): Told {
  const folder = mkdtempSync(join(tmpdir(), "postern-format-"));
  folders.push(folder);
  for (const name of ["log", "spool"]) mkdirSync(join(folder, "queue", name), { recursive: true });
  for (const [path, octets] of disk.image()) {
    const real = join(folder, path.replace("/var/", ""));
    mkdirSync(dirname(real), { recursive: true });
    writeFileSync(real, octets);
  }
  const { stdout, stderr, status } = spawnSync("python3", [reader, ...options, join(folder, "queue")], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect([stderr, status]).toEqual(["", 0]);
  return JSON.parse(stdout) as Told;
}

async function readByStore(store: QueueStore): Promise<Told["messages"]> {
  const messages: Record<string, unknown> = {};
  for (const { id } of store.waiting()) {
    const entry = await store.entry(id);
    const hash = createHash("sha256");
    try {
      for await (const chunk of (await store.content(id))?.read() ?? []) hash.update(chunk);
    } catch {
      messages[id] = "no content";
      continue;
    }
    messages[id] = {
      message: entry?.message,
      pending: entry?.pending,
      outcomes: Object.fromEntries(entry?.settled.map(({ index, outcome }) => [index, outcome]) ?? []),
      schedule: entry?.schedule ?? null,
      content: hash.digest("hex"),
    };
  }
  return JSON.parse(JSON.stringify(messages)) as Told["messages"];
}

/** A queue after a while of work, on a disk that sometimes fails; closed, or cut off. */
async function work(seed: number, faulty: boolean): Promise<SimulatedDisk> {
  const random = randomFrom(seed);
  const pick = (below: number) => Math.floor(random() * below);
  let failing = false;
  const faults = {
    next: (call: string) => (failing && (call === "sync" || call === "truncate") && random() < 0.3 ? "EIO" : undefined),
  };
  let disk = SimulatedDisk.of(new Map(), ["", "/var"], random, faults);
  for (let life = 0; life < 3; life += 1) {
    const store = storeOn(disk, random);
    await store.open();
    failing = faulty;
    const here = [...store.waiting()].map(({ id }) => id);
    for (let step = 0; step < 60; step += 1) {
      const id = here[pick(here.length)] ?? "";
      const dice = random();
      if (dice < 0.6) {
        const next = `s${seed}-${life}-${step}`;
        const octets = Buffer.from(Array.from({ length: pick(900) }, () => pick(256)));
        const { message, content } = sampleMessage(next, 1 + pick(3), createMemoryBlob([octets]));
        // In the quarantine every message has a note and an expiry.
        const aside =
          dice < 0.15 ? { quarantine: { reason: "für später", from: "a@b.test", subject: `s ${step}` } } : {};
        const schedule = dice < 0.15 ? { attempts: 0, nextAttemptAt: 5_000 + step } : undefined;
        await store.commit({ ...message, ...aside }, content, schedule).then(
          () => here.push(next),
          () => undefined,
        );
      } else if (dice < 0.75)
        void store.settle(id, [{ index: 0, outcome: delivered(`ok ${step}`) }]).catch(() => undefined);
      else if (dice < 0.85) store.reschedule(id, { attempts: step, nextAttemptAt: 1000 + step, reason: "später" });
      else void store.remove(id).catch(() => undefined);
    }
    failing = false;
    if (faulty && random() < 0.5) disk = disk.afterPowerCut(faults);
    else await store.close();
  }
  return disk;
}

const storeOn = (disk: SimulatedDisk, random: () => number) =>
  createSegmentStore({
    directory: "/var/queue",
    clock: systemClock,
    port: disk,
    random,
    minFreeBytes: 0,
    segmentBytes: 8000,
    spoolAboveBytes: 600,
    handOffBytes: 0,
  });

const count = sample(8, 200);

describe.skipIf(!hasPython)("a reader written from the page", () => {
  test.each(Array.from({ length: count }, (_, at) => at + 1))(
    "queue %i, closed: the same, with and without its checkpoint",
    async (seed) => {
      const disk = await work(seed, false);
      const byPage = readByPython(disk);
      const withCheckpoint = readByPython(disk, "--checkpoint");
      const store = storeOn(disk, randomFrom(seed));
      await store.open();
      const known = await readByStore(store);
      expect(Object.keys(known).length).toBeGreaterThan(20);
      expect(byPage).toEqual({ checkpoint: false, messages: known });
      expect(withCheckpoint).toEqual({ checkpoint: true, messages: known });
      await store.close();
    },
  );

  test.each(Array.from({ length: count }, (_, at) => at + 1))(
    "queue %i, failed writes, power cuts and rot: the same",
    async (seed) => {
      const random = randomFrom(seed + 1_000_000);
      const disk = await work(seed, true);
      const logs = disk.paths().filter((path) => path.endsWith(".log"));
      for (const path of logs.slice(0, 2)) {
        const octets = Buffer.from(disk.octetsOf(path));
        if (octets.length > 32) octets[Math.floor(random() * octets.length)] = 0xaa;
        disk.replace(path, octets);
      }
      disk.replace("/var/queue/checkpoint", undefined);
      const byPage = readByPython(disk);
      const store = storeOn(disk, random);
      await store.open();
      expect(byPage.messages).toEqual(await readByStore(store));
      await store.close();
    },
  );
});
