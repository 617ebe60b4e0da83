// A queue full of waiting mail, after a next-hop's long outage: the gateway starts soon, stays small, and takes mail as fast as with an
// empty queue. The figures are printed; what is asserted has room for a busy machine.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { isLong, sample } from "../../sampling.ts";
import { describeWith } from "../../services/describe-with.ts";
import { temporaryFolder } from "../../services/folder.ts";
import { freePort } from "../../services/ports.ts";
import { runSmtpSource } from "../../services/smtp-source.ts";
import { startGateway, type GatewayOptions, type GatewayProcess } from "../gateway.ts";
import { run } from "../run.ts";
import { startNextHop } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const count = sample(20_000, 1_000_000);
const messagesARound = sample(1000, 5000);
const rounds = sample(5, 7);
const fillQueue = fileURLToPath(new URL("fill-queue.ts", import.meta.url));

describeWith(["smtp-source"], "many waiting messages", () => {
  it(`${count}: start, memory and speed`, { timeout: 900_000 }, async () => {
    using folder = temporaryFolder();
    using emptyFolder = temporaryFolder();
    const filled = performance.now();
    const args = ["--conditions=@postern/source", fillQueue, join(folder.path, "queue"), String(count)];
    const { status, stderr } = await run(process.execPath, args, { timeoutMs: 600_000 });
    expect(status, stderr).toBe(0);
    say(`${count} messages written in ${secondsSince(filled)} s`);

    await using nextHop = await startNextHop({ mood: "refuse connection" });
    const optionsIn = async (path: string): Promise<GatewayOptions> => ({
      folder: path,
      port: await freePort(),
      config: relayTo(nextHop.port, { queue: { minBackoff: "1h", maxBackoff: "3h" } }),
    });
    const options = await optionsIn(folder.path);
    const empty = await timedStart("empty", await optionsIn(emptyFolder.path));
    await using emptyGateway = empty.gateway;
    const first = await timedStart("after filling", options);
    await first.gateway.stop();
    const second = await timedStart("after a stop", options);
    await second.gateway.kill();
    const third = await timedStart("after kill -9", options);
    await using gateway = third.gateway;
    for (const { gateway: started } of [first, second, third])
      expect(started.log()).toContain(`queue: ${count} waiting`);

    const rates: { readonly empty: number; readonly full: number }[] = [];
    await acceptRate(emptyGateway.port);
    await acceptRate(gateway.port);
    // Side by side, so that whatever else the machine does meets both.
    for (let round = 0; round < rounds; round += 1)
      rates.push({ empty: await acceptRate(emptyGateway.port), full: await acceptRate(gateway.port) });
    const ratio = median(rates.map(({ empty: without, full }) => full / without));
    const memory = memoryOf(gateway);
    say(
      `accepted: ${Math.round(median(rates.map((rate) => rate.full)))}/s, empty ${Math.round(median(rates.map((rate) => rate.empty)))}/s, ratio ${ratio.toFixed(2)}`,
    );
    const without = memoryOf(emptyGateway);
    say(`memory: ${memory.now} MB, at most ${memory.peak} MB; empty ${without.now} MB`);

    // Both have taken the same since they started.
    expect(memory.now - without.now).toBeLessThan(isLong ? 300 : 100);
    expect(Math.max(second.memory.now, third.memory.now)).toBeLessThan(400);
    expect(Math.max(second.cpuSeconds, third.cpuSeconds)).toBeLessThan(10);
    expect(ratio).toBeGreaterThan(isLong ? 0.8 : 0.5);
  });
});

/** Resident, in MB, by proc(5). */
interface Memory {
  readonly now: number;
  readonly peak: number;
}

interface Started {
  readonly gateway: GatewayProcess;
  /** From its start to 220, and what it worked in them, which a machine that stands still or is busy adds nothing to. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Right after it. */
  readonly memory: Memory;
}

async function timedStart(what: string, options: GatewayOptions): Promise<Started> {
  const begun = performance.now();
  const gateway = await startGateway(options);
  const seconds = Number(secondsSince(begun));
  const cpuSeconds = cpuSecondsOf(gateway);
  const memory = memoryOf(gateway);
  say(`start ${what}: ${seconds} s to 220, ${cpuSeconds} s of them work, ${memory.now} MB, at most ${memory.peak} MB`);
  return { gateway, seconds, cpuSeconds, memory };
}

/** Messages a second, of 4 KB, over 20 sessions. */
async function acceptRate(port: number): Promise<number> {
  const load = { port, messages: messagesARound, sessions: 20, bodyBytes: 4096, args: ["-d"] };
  const { milliseconds, status, errors } = await runSmtpSource(load);
  expect(status, errors).toBe(0);
  return (messagesARound * 1000) / milliseconds;
}

/** utime and stime of proc_pid_stat(5), which counts in hundredths. */
function cpuSecondsOf({ pid }: GatewayProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function memoryOf({ pid }: GatewayProcess): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const megabytes = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0;
}

function secondsSince(begun: number): string {
  return ((performance.now() - begun) / 1000).toFixed(1);
}

function say(figure: string): void {
  process.stderr.write(`many waiting: ${figure}\n`);
}
