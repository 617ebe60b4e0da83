// The power goes while mail comes in, with the queue on a disk of its own. What was acknowledged is there when it is back.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { randomFrom, sample, seed } from "../../sampling.ts";
import { describeUnless } from "../../services/describe-with.ts";
import { mountPowerDisk, requirePowerDisk } from "../../services/disk.ts";
import { temporaryFolder } from "../../services/folder.ts";
import { freePort } from "../../services/ports.ts";
import { startGateway } from "../gateway.ts";
import { until } from "../until.ts";
import { balance, completion, type Ledger } from "./ledger.ts";
import { isAcknowledged, startLoad, type Sent } from "./load.ts";
import { startNextHop } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const cuts = sample(4, 20);

describeUnless(requirePowerDisk(), "power cut", () => {
  it(`${cuts} times: all that was acknowledged arrives whole`, { timeout: 240_000 }, async () => {
    const { missing, torn, acknowledged } = await cutAgainAndAgain(cuts);
    process.stderr.write(
      `power cut: seed ${seed}: ${cuts} cuts, ${acknowledged} acknowledged, ${missing.length} lost\n`,
    );
    // What got 451 as the power went may be on the disk all the same: nobody could take it back.
    expect({ missing, torn }, `seed ${seed}`).toEqual({ missing: [], torn: [] });
    expect(acknowledged).toBeGreaterThan(cuts * 10);
  });

  it("with syncs that do nothing, mail is lost: this test would see it", async () => {
    using folder = temporaryFolder();
    const lying = join(folder.path, "lying-syncs.mjs");
    writeFileSync(lying, lyingSyncs);
    const { missing, acknowledged } = await cutAgainAndAgain(1, { NODE_OPTIONS: `--import=${lying}` }, 3000);
    expect(acknowledged).toBeGreaterThan(10);
    expect(missing.length).toBeGreaterThan(0);
  });
});

/** Acknowledges before anything is on the disk. */
const lyingSyncs = `
  import fs from "node:fs";
  fs.fdatasync = fs.fsync = (descriptor, done) => setImmediate(done, null);
`;

/** The next-hop is away while the power fails, so that everything depends on the disk; then it takes what is left. */
async function cutAgainAndAgain(times: number, env: NodeJS.ProcessEnv = {}, patienceMs = 60_000): Promise<Ledger> {
  const random = randomFrom(seed);
  using folder = temporaryFolder();
  using disk = mountPowerDisk(folder.path, "192M");
  await using nextHop = await startNextHop({ mood: "refuse connection" });
  const port = await freePort();
  const config = relayTo(nextHop.port, {
    queue: { directory: join(disk.path, "queue"), minFree: "1MB", segmentSize: "1MB" },
    control: { directory: join(folder.path, "run") },
  });
  const options = { folder: folder.path, port, config, env: { ...process.env, ...env } };
  const sent: Sent[] = [];
  let number = 0;
  for (let round = 0; round < times; round += 1) {
    const gateway = await startGateway(options);
    // In later rounds some is delivered, so that outcomes and compaction meet the cut, too.
    nextHop.setMood(round % 2 === 0 ? "refuse connection" : "take");
    const load = startLoad({ port, next: () => number++, goOn: isAcknowledged });
    await delay(100 + random() * 500);
    await until(() => load.sent.filter(isAcknowledged).length > 10);
    disk.cut();
    await load.stop();
    await gateway.kill();
    disk.restore();
    sent.push(...load.sent);
  }
  const gateway = await startGateway(options);
  nextHop.setMood("take");
  await completion(sent, nextHop, patienceMs);
  await gateway.stop();
  return balance(sent, nextHop.arrivals);
}
