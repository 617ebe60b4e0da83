// The disk under the quarantine fails: the kernel's calls answer EIO or ENOSPC now and then, by strace. Who may have lost a message gets 451 or
// 452, and whatever was acknowledged is there after a restart, once.
import { execFileSync } from "node:child_process";
import type { QuarantineListing } from "@postern/core";
import { expect, it } from "vitest";
import { isAcknowledged, sendAll } from "../e2e/durability/load.ts";
import { startGateway, type GatewayOptions } from "../e2e/gateway.ts";
import { sample } from "../sampling.ts";
import { describeUnless } from "../services/describe-with.ts";
import { temporaryFolder } from "../services/folder.ts";
import { freePort } from "../services/ports.ts";
import { programPath, requireProgram } from "../services/programs.ts";
import { isolatingGateway, posternJson } from "./world.ts";

const count = sample(120, 2000);

/** strace counts calls by thread, hence one thread for all file calls. `-D` keeps node the process that is started. */
function withFaults(calls: string, fault: string): Pick<GatewayOptions, "wrapper" | "env"> {
  const inject = ["-e", `trace=${calls}`, "-e", `inject=${calls}:${fault}`];
  return {
    wrapper: ["strace", "-D", "-f", "-qq", "-o", "/dev/null", ...inject],
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
  };
}

describeUnless(requireTracing(), "a disk that fails under the quarantine", () => {
  it.each([
    ["fdatasyncs fail", "fdatasync", "error=EIO:when=5+7"],
    ["writes find no room", "pwritev,pwrite64", "error=ENOSPC:when=8+9"],
  ])("%s", async (_what, calls, fault) => {
    using folder = temporaryFolder();
    const options = {
      ...isolatingGateway("[127.0.0.1]:9", { policy: { message: ["isolate_all"] } }),
      folder: folder.path,
      port: await freePort(),
    };
    const numbers = Array.from({ length: count }, (_, at) => at);
    const failing = await startGateway({ ...options, ...withFaults(calls, fault) });
    const sent = await sendAll(failing.port, numbers, { sessions: 8 });
    await failing.stop();
    const refused = sent.filter((one) => !isAcknowledged(one));
    expect(refused.length).toBeGreaterThan(0);
    for (const { reply } of refused) expect(reply).toMatch(/^(451 4\.3\.0|452 4\.3\.1) /);
    const taken = sent.filter(isAcknowledged).map(({ mail }) => mail.number);
    expect(taken.length, "taken between the failures").toBeGreaterThan(8);
    await using gateway = await startGateway(options);
    const listed = await posternJson<QuarantineListing[]>(gateway, "quarantine", "list", "--limit", "100000");
    const found = listed.map(({ subject }) => Number(/^message (\d+)$/.exec(subject)?.[1])).toSorted((a, b) => a - b);
    // Each once, and nothing of what was refused.
    expect(found).toEqual(taken.toSorted((a, b) => a - b));
    expect(failing.log()).toMatch(/^warning: quarantine: /m);
  });
});

function requireTracing(): string | undefined {
  const missing = requireProgram("strace");
  if (missing !== undefined) return missing;
  try {
    execFileSync(programPath("strace"), ["-o", "/dev/null", "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs the right to trace";
  }
}
