// The greylist's own file: locked, full, read-only, and its gateway killed in the middle of writing.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import { until } from "../e2e/until.ts";
import { describeUnless } from "../services/describe-with.ts";
import { mountTmpfs, requireMount } from "../services/disk.ts";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";
import { sample } from "../sampling.ts";
import { undisturbed } from "../undisturbed.ts";
import { attempt, lostStore, putOff, startGreylisting } from "./strangers.ts";

test("a file that another process locks: the declared policy, no session waits long, and it goes on when it is free", async () => {
  await using gateway = await startGreylisting();
  expect(await attempt(gateway.port, "before@source.test")).toBe(putOff);
  const other = new DatabaseSync(join(gateway.folder, "state/state.sqlite"), { timeout: 2000 });
  other.exec("BEGIN EXCLUSIVE");
  const refused = async (): Promise<boolean> =>
    lostStore.test(await attempt(gateway.port, `s${performance.now()}@source.test`));
  await until(refused);
  await undisturbed(async () => {
    const begun = performance.now();
    for (let at = 0; at < 10; at += 1) expect(await refused()).toBe(true);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
  other.exec("COMMIT");
  other.close();
  await until(async () => (await attempt(gateway.port, "after@source.test")) === putOff);
  expect(gateway.log()).toContain("the state store is locked by another process");
  await until(async () => (await attempt(gateway.port, "before@source.test")).startsWith("250 "));
});

describeUnless(requireMount(), "a disk of its own", () => {
  test("that is full: the declared policy, one clear line, and room again is enough", async () => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "2m");
    await using gateway = await startGreylisting({ config: { state: { directory: join(disk.path, "state") } } });
    expect(await attempt(gateway.port, "before@source.test")).toBe(putOff);
    await until(() => existsSync(join(disk.path, "state/state.sqlite-wal")));
    const filler = join(disk.path, "filler");
    const { bavail, bsize } = statfsSync(disk.path);
    writeFileSync(filler, Buffer.alloc(bavail * bsize));
    const some = (): string => `s${performance.now()}@source.test`;
    await until(async () => lostStore.test(await attempt(gateway.port, some())));
    expect(gateway.log()).toMatch(/the state store is full|the disk of the state store reports an error/);
    writeFileSync(filler, "");
    await until(async () => (await attempt(gateway.port, some())) === putOff);
    await delay(1000);
    expect(await attempt(gateway.port, "before@source.test")).toMatch(/^250 /);
  });

  test("that is read-only: the start says so", async () => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "2m");
    const config = { state: { directory: join(disk.path, "state") } };
    {
      await using first = await startGreylisting({ config });
      expect(await attempt(first.port, "a@source.test")).toBe(putOff);
    }
    execFileSync("mount", ["-o", "remount,ro", disk.path]);
    await expect(startGreylisting({ config })).rejects.toThrow(
      /state\.directory \S+ cannot be used: it is not writable for this user/,
    );
  });
});

test("killed while it writes: no more than a second is lost, nothing is damaged", async () => {
  using folder = temporaryFolder();
  const port = await freePort();
  const live = async (round: number): Promise<void> => {
    const gateway = await startGreylisting({ folder: folder.path, port, greylist: { delay: "1d" } });
    const begun: { readonly sender: string; readonly at: number }[] = [];
    // A session ends after so many refusals; the last ones are handed in at leisure, when nothing else wakes the gateway.
    const flood = async (name: string): Promise<void> => {
      using smtp = await dial(port);
      await smtp.say("EHLO client.test");
      for (let at = 0; ; at += 1) {
        const sender = `${name}-${at}@round${round}.test`;
        await smtp.say("RSET");
        await smtp.say(`MAIL FROM:<${sender}>`);
        const reply = await smtp.say("RCPT TO:<user@example.test>");
        if (reply !== putOff) return;
        begun.push({ sender, at: performance.now() });
      }
    };
    const untilKilled = async (name: string): Promise<void> => {
      for (let session = 0; session < (round === 0 ? 1 : Infinity); session += 1) await flood(`${name}${session}`);
    };
    const floods = ["a", "b", "c"].map(async (name) => untilKilled(name).catch(() => undefined));
    await until(() => begun.length > 30);
    await delay(1300 + round * 100);
    await gateway.kill();
    const killed = performance.now();
    await Promise.all(floods);
    const safe = begun.filter(({ at }) => at < killed - 1000);
    expect(safe.length).toBeGreaterThan(20);
    const database = new DatabaseSync(join(folder.path, "state/state.sqlite"));
    expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    const find = database.prepare("SELECT 1 FROM entries WHERE space = 'greylist/waiting' AND key LIKE ?");
    expect(safe.filter(({ sender }) => find.get(`% ${sender} %`) === undefined)).toEqual([]);
    database.close();
  };
  for (let round = 0; round < sample(2, 20); round += 1) await undisturbed(() => live(round));
  expect(readdirSync(join(folder.path, "state")).filter((name) => name.includes("damaged"))).toEqual([]);
});
