// The contract of every state store, kept by real databases; two processes in each other's way; servers that die and stand still.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { systemClock, type StateStore } from "@postern/core";
import { openSqlStateStore, options } from "@postern/plugin-state-sql";
import { afterEach, expect, test } from "vitest";
import { stateStoreCases } from "../../packages/core/src/state/state-store.fixture.ts";
import { until } from "../e2e/until.ts";
import { sample } from "../sampling.ts";
import { undisturbed } from "../undisturbed.ts";
import { describeDatabases, type Database } from "./databases.ts";

process.env["POSTERN_TEST_STATE_PASSWORD"] = "secret";
const hour = 3_600_000;
let log: string[] = [];
let open: StateStore[] = [];
afterEach(async () => {
  for (const store of open) await store.close();
  open = [];
  log = [];
});

function openStore(database: Database, more: object = {}, clock: Pick<typeof systemClock, "now"> = systemClock) {
  const store = openSqlStateStore({
    options: options.parse({
      client: database.client,
      connection: { ...database.connection, password: { env: "POSTERN_TEST_STATE_PASSWORD" } },
      timeout: "30s",
      ...more,
    }),
    directory: "/",
    clock: { ...systemClock, ...clock },
    log: { info: (text) => void log.push(text), warn: (text) => void log.push(`warn: ${text}`) },
  });
  open.push(store);
  return store;
}

describeDatabases("the SQL state store", (database) => {
  let number = 0;
  for (const { name, run } of stateStoreCases) {
    // One connection: what is asked first is done first.
    const settings = () => ({ table: `t${(number += 1)}`, connections: 1 });
    test(name, () => run((clock) => openStore(database(), settings(), clock)));
  }

  test("gateways make the table together, share it, and count every increment and update of two processes", async () => {
    const count = sample(100, 2000);
    const settings = JSON.stringify({
      client: database().client,
      connection: { ...database().connection, password: { env: "POSTERN_TEST_STATE_PASSWORD" } },
      timeout: "30s",
      table: "shared",
    });
    const child = () =>
      spawn(
        process.execPath,
        ["--conditions=@postern/source", join(import.meta.dirname, "counting-process.ts"), settings, String(count)],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
    const children = [child(), child()];
    const outputs = children.map(async (process) => {
      let out = "";
      for await (const chunk of process.stdout) out += String(chunk);
      return out;
    });
    for (const process of children) if (process.exitCode === null) await once(process, "close");
    const sums = (await Promise.all(outputs)).map((out) => JSON.parse(out) as { sums: number[]; leases: number });
    const space = openStore(database(), { table: "shared" }).space("counting");
    expect([await space.get("n"), await space.get("u")]).toEqual([2 * count, 2 * count]);
    // Each sum was given to one caller.
    const given = sums.flatMap(({ sums: own }) => own);
    expect(new Set(given).size).toBe(2 * count);
    expect(sums.reduce((all, { leases }) => all + leases, 0)).toBe(1);
  });

  test("one gateway sweeps at a time", async () => {
    let now = Date.now();
    const clock = { now: () => now };
    const [one, two] = [
      openStore(database(), { table: "swept" }, clock),
      openStore(database(), { table: "swept" }, clock),
    ];
    const space = one.space<number>("s");
    await Promise.all(Array.from({ length: 300 }, async (_, at) => space.put(`k${at}`, at, 1000)));
    now += 2000;
    const removed = await Promise.all([one.sweep(), two.sweep()]);
    expect(removed.toSorted((a, b) => a - b)).toEqual([0, 300]);
    await space.put("again", 1, 1000);
    now += 2000;
    expect(await two.sweep()).toBe(1);
  });

  test("a server that dies, stands still and comes back costs each caller a bounded time, and the log two lines", async () => {
    const settings = { table: "outage", timeout: "400ms", retryInterval: "100ms" };
    const space = openStore(database(), settings).space<number>("s");
    const secret = openStore(database(), {
      ...settings,
      connection: { ...database().connection, password: { env: "POSTERN_NONE" } },
    });
    const lost = { code: "STORE_UNAVAILABLE" };
    await space.put("k", 1, hour);
    await database().service.pause();
    await undisturbed(async () => {
      const begun = performance.now();
      const asked = await Promise.allSettled(Array.from({ length: 50 }, async () => space.increment("n", 1, hour)));
      expect(asked.every(({ status }) => status === "rejected")).toBe(true);
      // What comes meanwhile does not wait.
      await expect(async () => space.get("k")).rejects.toMatchObject(lost);
      expect(performance.now() - begun).toBeLessThan(3000);
    });
    database().service.resume();
    await until(async () => (await Promise.resolve(space.get("k")).catch(() => undefined)) === 1);
    expect(log).toEqual([
      "warn: the state database fails, and with it what asks it, until it is back: no answer within 400 ms",
      "the state database answers again",
    ]);
    log = [];
    await database().service.kill();
    await expect(async () => space.get("k")).rejects.toMatchObject(lost);
    await database().restart();
    // What it had not yet written is lost.
    await until(async () =>
      Promise.resolve(space.put("k", 2, hour)).then(
        () => true,
        () => false,
      ),
    );
    expect(await space.get("k")).toBe(2);
    expect(log).toEqual([expect.stringMatching(/^warn: the state database fails/), "the state database answers again"]);
    await expect(async () => secret.space("s").get("k")).rejects.toThrow();
    expect(log.join("\n")).not.toContain('secret"');
  });

  test("TLS, with a certificate that is looked at", async () => {
    const { connection, authority } = database();
    const password = { env: "POSTERN_TEST_STATE_PASSWORD" };
    const over = (ssl: object | true, host = connection.host) =>
      openStore(database(), { table: "tls", connection: { ...connection, host, password, ssl } }).space<number>("s");
    await over({ ca: authority }).put("k", 1, hour);
    await over({ ca: authority }, "localhost").put("k", 1, hour);
    expect(await over({ verify: false }).get("k")).toBe(1);
    // The certificate is for 127.0.0.1 and localhost; 127.1 is a name that leads there.
    const refused = { code: "STORE_UNAVAILABLE", message: expect.stringMatching(/certificate|altname/i) as string };
    await expect(async () => over(true).get("k")).rejects.toMatchObject(refused);
    await expect(async () => over({ ca: authority }, "127.1").get("k")).rejects.toMatchObject(refused);
  });

  test("a table that is dropped is made again", async () => {
    const space = openStore(database(), { table: "dropped" }).space<number>("s");
    await space.put("k", 1, hour);
    database().query("DROP TABLE dropped");
    expect(await space.get("k")).toBeUndefined();
    await space.put("k", 2, hour);
    expect(await space.get("k")).toBe(2);
  });

  test("an entry is written however often it was before", async () => {
    let now = Date.now();
    const space = openStore(database(), { table: "worn" }, { now: () => now }).space<number>("s");
    const wearOut = () =>
      database().query(`UPDATE worn SET version = ${database().client === "pg" ? 2 ** 31 - 1 : 2 ** 32 - 1}`);
    await space.put("k", 1, 1000);
    wearOut();
    await space.put("k", 2, 1000);
    wearOut();
    expect(await space.increment("k", 1, 1000)).toBe(3);
    wearOut();
    expect(await space.update("k", 1000, (count = 0) => count + 1)).toBe(4);
    wearOut();
    now += 2000;
    expect(await space.update("k", 1000, (count = 0) => count + 1)).toBe(1);
    expect(await space.get("k")).toBe(1);
  });

  test("a table of a newer version is left alone", async () => {
    const space = openStore(database(), { table: "newer" }).space<number>("s");
    await space.put("k", 1, hour);
    database().query("UPDATE newer SET amount = 7 WHERE entry_key = 'layout'");
    await expect(async () => openStore(database(), { table: "newer" }).space("s").get("k")).rejects.toThrow(
      "its table is of a newer version (7; this one knows 1)",
    );
  });
});
