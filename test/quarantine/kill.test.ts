// kill -9 while mail is put aside and while it is released: whatever was answered with 250 is in the quarantine or arrives; it arrives twice
// only when it was in the queue and still in the quarantine as the gateway died.
import { setTimeout as delay } from "node:timers/promises";
import type { QuarantineListing } from "@postern/core";
import { expect, it } from "vitest";
import { startGateway, type GatewayProcess } from "../e2e/gateway.ts";
import { sendAll, startLoad, isAcknowledged } from "../e2e/durability/load.ts";
import { startNextHop } from "../e2e/durability/next-hop.ts";
import { until } from "../e2e/until.ts";
import { randomFrom, sample, seed } from "../sampling.ts";
import { temporaryFolder } from "../services/folder.ts";
import { isolatingGateway, postern, posternJson } from "./world.ts";

const rounds = sample(3, 40);
/** Released in one request, some side by side. */
const underWay = 20;

const numberOf = ({ subject }: QuarantineListing): number => Number(/^message (\d+)$/.exec(subject)?.[1]);

it(
  `killed again and again: nothing acknowledged is lost (seed ${seed})`,
  { timeout: 120_000 + rounds * 10_000 },
  async () => {
    using folder = temporaryFolder();
    const random = randomFrom(seed);
    await using nextHop = await startNextHop();
    const options = {
      // Everything is put aside.
      ...isolatingGateway(`[127.0.0.1]:${nextHop.port}`, { policy: { message: ["isolate_all"] } }),
      folder: folder.path,
    };
    let gateway: GatewayProcess = await startGateway(options);
    const again = async (): Promise<void> => {
      await gateway.kill();
      gateway = await startGateway({ ...options, port: gateway.port });
    };
    let number = 0;
    const acknowledged: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const load = startLoad({ port: gateway.port, sessions: 6, next: () => number++ });
      await delay(100 + random() * 300);
      await until(() => load.sent.filter(isAcknowledged).length > 100);
      await again();
      await load.ended;
      acknowledged.push(...load.sent.filter(isAcknowledged).map(({ mail }) => mail.number));
    }
    expect(acknowledged.length).toBeGreaterThan(rounds * 10);
    const list = () => posternJson<QuarantineListing[]>(gateway, "quarantine", "list", "--limit", "100000");
    const aside = (await list()).map(numberOf);
    // Each once; a number that was not acknowledged may be there too, for nobody knew in time.
    expect(aside.toSorted((a, b) => a - b)).toEqual([...new Set(aside)].toSorted((a, b) => a - b));
    expect(acknowledged.filter((one) => !aside.includes(one))).toEqual([]);

    const releasing = postern(gateway, "quarantine", "release", "--all", "--yes");
    await until(() => (gateway.log().match(/quarantine: released/g)?.length ?? 0) > 40);
    await again();
    expect((await releasing).status).not.toBe(0);
    expect((await postern(gateway, "quarantine", "release", "--all", "--yes")).status).toBe(0);
    await until(
      async () => (await posternJson<{ queue: { messages: number } }>(gateway, "status")).queue.messages === 0,
    );
    const arrivals = nextHop.arrivals.map((arrival) => arrival.number ?? -1);
    expect(nextHop.arrivals.every(({ whole }) => whole)).toBe(true);
    expect(aside.filter((one) => !arrivals.includes(one))).toEqual([]);
    // Those under way between the two stores as it died, and those whose removal waited some milliseconds for company.
    expect(arrivals.length - aside.length).toBeLessThanOrEqual(2 * underWay + 20);
    expect(await list()).toEqual([]);
    expect(gateway.log()).not.toMatch(/damage/);
    // And the ordinary way is open.
    await sendAll(gateway.port, [number]);
    expect(await list()).toHaveLength(1);
    await gateway.stop();
  },
);
