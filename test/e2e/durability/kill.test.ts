// kill -9 at any moment, under load and while starting, again and again in the same folder: every acknowledged message arrives
// whole. One that arrives twice was in delivery when the gateway died.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { randomFrom, sample, seed } from "../../sampling.ts";
import { describeWith } from "../../services/describe-with.ts";
import { temporaryFolder } from "../../services/folder.ts";
import { freePort } from "../../services/ports.ts";
import { runSmtpSource } from "../../services/smtp-source.ts";
import { startGateway, type GatewayOptions } from "../gateway.ts";
import { until } from "../until.ts";
import { balance, completion } from "./ledger.ts";
import { isAcknowledged, startLoad, type Sent } from "./load.ts";
import { startNextHop } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const kills = sample(5, 20);

describeWith(["smtp-source"], "kill -9", () => {
  it(`${kills} times under load: all that was acknowledged arrives`, { timeout: 180_000 }, async () => {
    const random = randomFrom(seed);
    using folder = temporaryFolder();
    await using nextHop = await startNextHop();
    const port = await freePort();
    const options: GatewayOptions = {
      folder: folder.path,
      port,
      // Small segments: compaction and new segments are in progress when the kill comes.
      config: relayTo(nextHop.port, { queue: { segmentSize: "1MB" } }),
    };
    const sent: Sent[] = [];
    const lives: { readonly endedAt: number; readonly sent: readonly Sent[] }[] = [];
    let number = 0;

    for (let round = 0; round < kills; round += 1) {
      if (round % 4 === 3) await killWhileStarting(options, random() * 1000);
      const gateway = await startGateway(options);
      const load = startLoad({ port, next: () => number++ });
      const source = runSmtpSource({ port, messages: 100_000, sessions: 2, args: ["-d"], bodyBytes: 2000 });
      await delay(50 + random() * 800);
      await until(() => load.sent.filter(isAcknowledged).length > 10);
      await gateway.kill();
      const endedAt = performance.now();
      await Promise.all([load.stop(), source]);
      sent.push(...load.sent);
      lives.push({ endedAt, sent: load.sent });
    }
    await using gateway = await startGateway(options);
    await completion(sent, nextHop);
    await untilStill(() => nextHop.arrivals.length);
    await gateway.stop();

    const { acknowledged, missing, torn, repeated, refused } = balance(sent, nextHop.arrivals);
    const copies = [...repeated.values()].reduce((sum, { length }) => sum + length - 1, 0);
    const figures = `seed ${seed}: ${kills} kills, ${acknowledged} acknowledged, ${copies} arrived again`;
    process.stderr.write(`kill -9: ${figures}\n`);
    expect({ missing, torn, refused }, figures).toEqual({ missing: [], torn: [], refused: [] });
    expect(acknowledged, figures).toBeGreaterThan(kills * 10);
    for (const [key, arrivals] of repeated) {
      // The last copy stands for all; whatever came before it was in delivery when its gateway died.
      for (const { heardAt, at } of arrivals.slice(0, -1)) {
        const life = lives.find(({ endedAt }) => at < endedAt);
        expect(life, `${key} came again although nobody was killed after it; ${figures}`).toBeDefined();
        expect(wasOnDisk(heardAt, life?.sent ?? []), `${key} came again although it was settled; ${figures}`).toBe(
          false,
        );
      }
      const livesOf = arrivals.map(({ at }) => lives.findIndex(({ endedAt }) => at < endedAt));
      expect(new Set(livesOf).size, `${key} came twice from one gateway; ${figures}`).toBe(arrivals.length);
    }
    expect(gateway.log()).not.toMatch(/damage|queue: the/);
    expect(leftIn(join(folder.path, "queue/spool"))).toEqual([]);
    expect(leftIn(join(folder.path, "queue/incoming"))).toEqual([]);
  });
});

/**
 * The log is one sequence. What the gateway heard of a delivery stands in it before any message whose dot was sent later; was that
 * message acknowledged, so both are on disk, and the delivery may not be tried again.
 */
function wasOnDisk(heardAt: number | undefined, sent: readonly Sent[]): boolean {
  return heardAt !== undefined && sent.some((one) => isAcknowledged(one) && one.dotAt > heardAt);
}

/** It reads the log, makes a segment, compacts: any of these may be cut off, too. */
async function killWhileStarting(options: GatewayOptions, afterMs: number): Promise<void> {
  const pidFile = join(options.folder ?? "", "starting.pid");
  const starting = startGateway({ ...options, wrapper: ["sh", "-c", 'echo $$ >"$0"; exec "$@"', pidFile] });
  await until(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"));
  await delay(afterMs);
  process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
  await starting.then(
    (gateway) => gateway.kill(),
    () => undefined,
  );
}

/** Until nothing more comes for a second. */
async function untilStill(count: () => number): Promise<void> {
  for (let before = -1; before !== count();) {
    before = count();
    await delay(1000);
  }
}

function leftIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
