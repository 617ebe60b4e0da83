// The disk of the queue fails: the kernel's calls answer EIO now and then, by strace. Clients whose message may be lost get 451, mail is
// taken again at once, and a message that was refused is not in the queue.
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { sample } from "../../sampling.ts";
import { describeUnless } from "../../services/describe-with.ts";
import { temporaryFolder } from "../../services/folder.ts";
import { freePort } from "../../services/ports.ts";
import { programPath, requireProgram } from "../../services/programs.ts";
import { startGateway, type GatewayOptions } from "../gateway.ts";
import { until } from "../until.ts";
import { balance, completion } from "./ledger.ts";
import { isAcknowledged, sendAll, type Sent } from "./load.ts";
import { startNextHop } from "./next-hop.ts";
import { relayTo } from "./relay.ts";

const count = sample(150, 2000);
const sessions = 8;

/** strace counts calls by thread, hence one thread for all file calls. `-D` keeps node the process that is started. */
function withFaults(calls: string, fault: string): Pick<GatewayOptions, "wrapper" | "env"> {
  const inject = ["-e", `trace=${calls}`, "-e", `inject=${calls}:${fault}`];
  return {
    wrapper: ["strace", "-D", "-f", "-qq", "-o", "/dev/null", ...inject],
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
  };
}

/** Runs of failures rather than single ones where a start makes such calls of its own, which it may do without. */
const faults: readonly [what: string, calls: string, fault: string][] = [
  ["the first fdatasyncs fail", "fdatasync", "error=EIO:when=1..4"],
  ["four fdatasyncs in a row fail", "fdatasync", "error=EIO:when=5..8"],
  ["every seventh fdatasync fails", "fdatasync", "error=EIO:when=7+7"],
  ["fsyncs of files and folders fail", "fsync", "error=EIO:when=4..8"],
  ["writes at a place fail", "pwritev,pwrite64", "error=EIO:when=6+9"],
  ["writes find no room", "pwritev,pwrite64", "error=ENOSPC:when=6+9"],
];

describeUnless(requireTracing(), "a disk that fails", () => {
  it.each(faults)("%s: 451, no false word, and mail again", async (_what, calls, fault) => {
    using folder = temporaryFolder();
    await using nextHop = await startNextHop({ mood: "refuse connection" });
    const options = {
      folder: folder.path,
      port: await freePort(),
      config: relayTo(nextHop.port, { queue: { segmentSize: "1MB" } }),
    };
    const sent: Sent[] = [];
    {
      await using gateway = await startGateway({ ...options, ...withFaults(calls, fault) });
      const first = Array.from({ length: count }, (_, at) => at);
      sent.push(...(await sendAll(gateway.port, first, { sessions })));
      const refused = sent.filter((one) => !isAcknowledged(one));
      expect(refused.length).toBeGreaterThan(0);
      for (const { reply } of refused) expect(reply).toMatch(/^(451 4\.3\.0|452 4\.3\.1) /);
      expect(sent.length - refused.length, "taken between the failures").toBeGreaterThan(sessions);
      // Half of the clients come back, as clients do; the others never do.
      await until(async () => {
        const left = sent.filter(({ mail }) => mail.number % 2 === 0 && !isTaken(mail.number, sent));
        sent.push(...(await sendAll(gateway.port, numbersOf(left), { sessions: 1 })));
        return left.length === 0;
      });
      expect(gateway.log()).toMatch(/queue: /);
      await gateway.kill();
    }
    await using gateway = await startGateway(options);
    nextHop.setMood("take");
    const late = await sendAll(gateway.port, [count + 1, count + 2]);
    expect(late.every(isAcknowledged)).toBe(true);
    sent.push(...late);
    await completion(sent, nextHop);
    await gateway.stop();
    const { missing, torn, refused, repeated } = balance(sent, nextHop.arrivals);
    expect({ missing, torn, refused, repeated: [...repeated.keys()] }).toEqual({
      missing: [],
      torn: [],
      refused: [],
      repeated: [],
    });
  });
});

function isTaken(number: number, sent: readonly Sent[]): boolean {
  return sent.some((one) => one.mail.number === number && isAcknowledged(one));
}

function numbersOf(sent: readonly Sent[]): readonly number[] {
  return [...new Set(sent.map(({ mail }) => mail.number))];
}

/** In a container the right to trace may be missing though strace is there. */
function requireTracing(): string | undefined {
  const missing = requireProgram("strace");
  if (missing !== undefined) return missing;
  try {
    execFileSync(programPath("strace"), ["-o", "/dev/null", "-e", "trace=fdatasync", "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs the right to trace";
  }
}
