// Two gateways on one database: who was put off by the one comes in at the other. A database that is gone, stands still and comes
// back: the greylist's onError holds meanwhile, the log says so once, and sessions go on.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dial } from "../e2e/dialogue.ts";
import type { GatewayProcess } from "../e2e/gateway.ts";
import { until } from "../e2e/until.ts";
import { undisturbed } from "../undisturbed.ts";
import { describeDatabases, type Database } from "./databases.ts";
import { attempt, lostStore, putOff, startGreylisting } from "./strangers.ts";

const linesWith = (gateway: GatewayProcess, text: string): readonly string[] =>
  gateway
    .log()
    .split("\n")
    .filter((line) => line.includes(text));

function stateSql({ client, connection }: Database) {
  const shared = { client, connection: { ...connection, password: { file: "./password" } } };
  return ["@postern/plugin-state-sql", { ...shared, timeout: "1500ms", retryInterval: "200ms" }];
}

describeDatabases("greylisting shared", (database) => {
  let gateways: readonly GatewayProcess[] = [];
  beforeAll(async () => {
    const start = (greylist: object) =>
      startGreylisting({ greylist: { ...greylist }, plugins: [stateSql(database())], files: { password: "secret\n" } });
    gateways = await Promise.all([start({}), start({ onError: "skip" })]);
  });
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
  });
  /** Who has come back. */
  let known = "";
  const ports = () => gateways.map(({ port }) => port) as [number, number];
  const [deferring, skipping] = [() => gateways[0] as GatewayProcess, () => gateways[1] as GatewayProcess];

  test("the first attempt at one, the retry at the other", async () => {
    const [one, other] = ports();
    let tries = 0;
    await undisturbed(async () => {
      known = `a${(tries += 1)}@source.test`;
      expect(await attempt(one, known)).toBe(putOff);
      expect(await attempt(other, known)).toBe(putOff);
      await delay(1100);
      expect(await attempt(other, known)).toMatch(/^250 /);
      expect(await attempt(one, known)).toMatch(/^250 /);
    });
    expect(await attempt(one, "b@source.test")).toBe(putOff);
  });

  test("a database that stands still: the declared policy, in bounded time, one line, and the session goes on", async () => {
    const [one, other] = ports();
    await database().service.pause();
    using session = await dial(one);
    await session.say("EHLO client.test");
    await session.say("MAIL FROM:<still@source.test>");
    await undisturbed(async () => {
      const begun = performance.now();
      expect(await session.say("RCPT TO:<user@example.test>")).toMatch(lostStore);
      expect(await session.say("RCPT TO:<other@example.test>")).toMatch(lostStore);
      expect(performance.now() - begun).toBeLessThan(5000);
    });
    expect(await session.say("RCPT TO:<user@elsewhere.test>")).toMatch(/^554 5\.7\.1/);
    expect(await attempt(other, "still@source.test")).toMatch(/^250 /);
    expect(linesWith(deferring(), "the state database fails")).toEqual([
      expect.stringContaining(
        "plugin state-sql: the state database fails, and with it what asks it, until it is back: no answer within 1500 ms",
      ),
    ]);
    database().service.resume();
    await until(async () => (await session.say("RCPT TO:<user@example.test>")) === putOff);
    expect(linesWith(deferring(), "the state database answers again")).toHaveLength(1);
    // Who had come back was known all the time.
    expect(await attempt(one, known)).toMatch(/^250 /);
  });

  test("a database that dies and comes back", async () => {
    const [one, other] = ports();
    await database().service.kill();
    expect(await attempt(one, "dead@source.test")).toMatch(lostStore);
    expect(await attempt(other, "dead@source.test")).toMatch(/^250 /);
    expect(linesWith(skipping(), "the state database fails").length).toBeGreaterThan(0);
    await database().restart();
    await until(async () => (await attempt(one, "back@source.test")) === putOff);
    await delay(1100);
    await until(async () => (await attempt(other, "back@source.test")).startsWith("250 "));
    for (const gateway of gateways) expect(gateway.log()).not.toMatch(/secret|INSERT|SELECT|at .*\.ts:/);
  });

  test("a gateway starts while the database is down, and joins when it is there", async () => {
    await database().service.kill();
    await using late = await startGreylisting({ plugins: [stateSql(database())], files: { password: "secret\n" } });
    expect(await attempt(late.port, "late@source.test")).toMatch(lostStore);
    await database().restart();
    await until(async () => (await attempt(late.port, "late@source.test")) === putOff);
    expect(linesWith(late, "the state database answers again")).toHaveLength(1);
  });
});
