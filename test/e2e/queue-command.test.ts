// postern queue verify and salvage, as an operator runs them on a queue that was damaged while the gateway was down.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryBlob, createSegmentStore, type QueuedMessage, type QueueStore, systemClock } from "@postern/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { command } from "./gateway.ts";
import { run } from "./run.ts";

let folder: string;
let directory: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "postern-queue-"));
  directory = join(folder, "queue");
  const config = {
    hostname: "mx.example.test",
    listeners: [{ host: "127.0.0.1", port: 0 }],
    queue: { directory: "./queue" },
  };
  writeFileSync(join(folder, "postern.config.json"), JSON.stringify(config), { mode: 0o600 });
  const store = await openStore();
  for (const id of ["first", "second", "third"])
    await store.commit(messageOf(id), createMemoryBlob([Buffer.alloc(2000, id)]));
  await store.close();
});
afterEach(() => rmSync(folder, { recursive: true }));

async function openStore(): Promise<QueueStore> {
  const store = createSegmentStore({ directory, clock: systemClock, minFreeBytes: 0 });
  await store.open();
  return store;
}

function messageOf(id: string): QueuedMessage {
  const recipients = [{ address: "r@example.test", original: "r@example.test" }];
  const envelope = { sender: "s@example.test", recipients, body: "7bit", smtputf8: false } as const;
  return { id, envelope, arrivedAt: 1_780_000_000_000, sizeBytes: 2000, origin: undefined };
}

function damageSecond(): void {
  const [name = ""] = readdirSync(join(directory, "log"));
  const path = join(directory, "log", name);
  const octets = readFileSync(path);
  octets[octets.indexOf("secondsecond")] = 0;
  writeFileSync(path, octets);
}

const queue = (...args: string[]) => {
  const env = { ...process.env, POSTERN_CONFIG: "", DEBUG: undefined };
  return run(process.execPath, ["--conditions=@postern/source", command, "queue", ...args], { cwd: folder, env });
};

test("a sound queue: verify and salvage end with 0", async () => {
  const verified = await queue("verify");
  expect([verified.status, verified.stderr]).toEqual([0, ""]);
  expect(verified.stdout).toMatch(/^3 messages in .*queue\nlog: 1 segments, .*3 message\n[\s\S]*\nno damage\n$/);
  const salvaged = await queue("salvage");
  expect([salvaged.status, salvaged.stdout]).toEqual([
    0,
    expect.stringMatching(/^3 messages in .*, no damage: nothing was changed\n$/),
  ]);
});

test("a damaged one: verify says so and ends with 70, salvage saves the rest and says what it could not save", async () => {
  damageSecond();
  const verified = await queue("verify");
  expect(verified.status).toBe(70);
  expect(verified.stdout).toMatch(
    /damage: 1\n {2}\S+\.log:\d+ \(\d+ octets\): records of the log are not what was written\n/,
  );
  expect(verified.stderr).toMatch(
    /^postern: the queue in .* is damaged; postern queue salvage saves what can be read\n$/,
  );
  const json = await queue("verify", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject({
    messages: 2,
    records: { message: 2 },
    damage: [{ text: expect.any(String) }],
  });
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "STORE_DAMAGED", exitCode: 70 } });

  const salvaged = await queue("salvage", "--json");
  expect(salvaged.status).toBe(0);
  const { keptAside, messages } = JSON.parse(salvaged.stdout) as {
    messages: number;
    keptAside: { id: string; sender: string; recipients: string[]; files: string[] }[];
  };
  expect(messages).toBe(2);
  expect(keptAside).toMatchObject([{ id: "second", sender: "s@example.test", recipients: ["r@example.test"] }]);
  const [, body = ""] = keptAside[0]?.files ?? [];
  expect(readFileSync(body).length).toBe(2000);
  expect((await queue("verify")).status).toBe(0);
  const store = await openStore();
  expect([...store.waiting()].map(({ id }) => id).toSorted()).toEqual(["first", "third"]);
  await store.close();
});

test.each(["verify", "salvage"])("%s while a gateway has the queue is one sentence", async (name) => {
  const store = await openStore();
  const ended = await queue(name);
  await store.close();
  expect([ended.status, ended.stdout]).toEqual([75, ""]);
  expect(ended.stderr).toMatch(/^postern: a gateway is running on the queue in \S+; stop it first \(postern stop\)\n$/);
});

test.each(["verify", "salvage"])("%s of a queue that is not there is one sentence", async (name) => {
  rmSync(directory, { recursive: true });
  const ended = await queue(name);
  expect([ended.status, ended.stdout]).toEqual([78, ""]);
  expect(ended.stderr).toMatch(/^postern: queue\.directory \S+ cannot be read: there is none\n$/);
});
