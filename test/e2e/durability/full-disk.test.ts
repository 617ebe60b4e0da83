// The disk of the queue fills up: mail is refused for now while there is still room to work with, nothing is lost, and all goes on
// when there is room again.
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeUnless } from "../../services/describe-with.ts";
import { mountTmpfs, requireMount } from "../../services/disk.ts";
import { temporaryFolder } from "../../services/folder.ts";
import { freePort } from "../../services/ports.ts";
import { startGateway } from "../gateway.ts";
import { until } from "../until.ts";
import { balance, completion } from "./ledger.ts";
import { isAcknowledged, sendAll, startLoad, type Sent } from "./load.ts";
import { startNextHop } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const minFreeBytes = 6_000_000;
const megabyte = 1_000_000;
const noRoom = /^452 4\.3\.1 /;

function freeOn(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

async function prepare(folder: string, disk: string) {
  const nextHop = await startNextHop({ mood: "refuse connection" });
  const queue = { directory: join(disk, "queue"), minFree: `${minFreeBytes / megabyte}MB`, segmentSize: "1MB" };
  const config = relayTo(nextHop.port, { queue, control: { directory: join(folder, "run") } });
  return { nextHop, options: { folder, port: await freePort(), config } };
}

describeUnless(requireMount(), "a disk that fills up", () => {
  it.each([
    ["small messages", 20_000],
    ["messages in memory, many at once", 200_000],
    ["messages in files of their own", 270_000],
  ])("%s: 452 well before it is full, and mail again when there is room", async (_what, sizeBytes) => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "20m");
    const { nextHop, options } = await prepare(folder.path, disk.path);
    await using _nextHop = nextHop;
    const sent: Sent[] = [];
    let number = 0;
    {
      await using gateway = await startGateway(options);
      // All at once at the end of what there is: each must count the others.
      const load = startLoad({
        port: gateway.port,
        sessions: 60,
        sizeBytes,
        next: () => number++,
        goOn: isAcknowledged,
      });
      await load.ended;
      sent.push(...load.sent);
      const refusals = load.sent.filter((one) => !isAcknowledged(one)).map(({ reply }) => reply);
      expect(refusals).toHaveLength(60);
      for (const reply of refusals) expect(reply).toMatch(noRoom);
      // Neither less nor much more than what was to stay free.
      expect(freeOn(disk.path)).toBeGreaterThan(0.95 * minFreeBytes);
      expect(freeOn(disk.path)).toBeLessThan(minFreeBytes + 1.5 * megabyte);
      await gateway.kill();
    }
    // It starts on the full disk, and delivering makes room.
    await using gateway = await startGateway(options);
    // The last sessions counted each other: a few messages may fit when one comes at a time.
    for (let tries = 0; (sent.at(-1)?.reply.startsWith("250") ?? true) || tries === 0; tries += 1) {
      expect(tries * sizeBytes).toBeLessThan(1.5 * megabyte + 2 * sizeBytes);
      sent.push(...(await sendAll(gateway.port, [number++], { sizeBytes })));
    }
    expect(sent.at(-1)?.reply).toMatch(noRoom);
    nextHop.setMood("take");
    await completion(sent, nextHop);
    await until(async () => {
      const again = await sendAll(gateway.port, [number++], { sizeBytes });
      sent.push(...again);
      return again.every(isAcknowledged);
    });
    await completion(sent, nextHop);
    await gateway.stop();
    const { acknowledged, missing, torn, refused } = balance(sent, nextHop.arrivals);
    expect({ missing, torn, refused }).toEqual({ missing: [], torn: [], refused: [] });
    expect(acknowledged * sizeBytes).toBeGreaterThan(10 * megabyte);
  });

  it("somebody else takes the last octet under load: no false word, and mail again when he has left", async () => {
    using folder = temporaryFolder();
    using disk = mountTmpfs(folder.path, "60m");
    const { nextHop, options } = await prepare(folder.path, disk.path);
    await using _nextHop = nextHop;
    await using gateway = await startGateway(options);
    let number = 0;
    const load = startLoad({ port: gateway.port, next: () => number++ });
    const answered = (reply: RegExp) => load.sent.filter((one) => reply.test(one.reply)).length;
    for (let round = 0; round < 3; round += 1) {
      const [taken, refused] = [answered(/^250/), answered(noRoom)];
      await until(() => answered(/^250/) > taken + 20);
      fill(disk.path);
      await until(() => answered(noRoom) > refused + 20);
      rmSync(join(disk.path, "somebody's"));
      const before = answered(/^250/);
      await until(() => answered(/^250/) > before + 20);
    }
    await load.stop();
    // The log may have met the end of the disk in the middle of a write: a start reads what is there.
    await gateway.kill();
    await using again = await startGateway(options);
    nextHop.setMood("take");
    await completion(load.sent, nextHop);
    await again.stop();
    const { missing, torn, refused, repeated } = balance(load.sent, nextHop.arrivals);
    expect({ missing, torn, refused, repeated: [...repeated.keys()] }).toEqual({
      missing: [],
      torn: [],
      refused: [],
      repeated: [],
    });
    for (const { reply } of load.sent) expect(reply).toMatch(/^(250|452 4\.3\.1) /);
  });
});

/** All that is left, to the last page. */
function fill(path: string): void {
  const file = join(path, "somebody's");
  for (let left = freeOn(path); left > 0; left = freeOn(path)) {
    try {
      writeFileSync(file, Buffer.alloc(left), { flag: "a" });
    } catch {
      // Mail took some of it meanwhile.
    }
  }
}
