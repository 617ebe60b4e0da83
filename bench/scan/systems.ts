/** The two gateways before one clamd. Both speak to its socket, write a header field into what they have scanned, and fsync before 250. */
import { join } from "node:path";
import { startClamavMilter } from "../../test/services/clamav-milter.ts";
import { startClamd, type Clamd } from "../../test/services/clamd.ts";
import { freePort } from "../../test/services/ports.ts";
import { repository, startPostern } from "../relay/postern.ts";
import { startPostfix } from "../relay/postfix.ts";
import type { System } from "../relay/run.ts";

/** A system, and what scans for it. */
export interface ScanningSystem {
  readonly relay: System;
  /** Of its own beside the relay: the milter. Clamd is both's. */
  readonly helperPids: readonly number[];
  stop(): Promise<void>;
}

/** As Debian's package sets it, but for the stream's limit and what it would write and read while nobody looks. */
export function startBenchClamd(folder: string): Promise<Clamd> {
  return startClamd({ folder, streamMaxBytes: 25 * 1024 * 1024, lines: ["MaxThreads 12", "MaxQueue 100"] });
}

export async function startPosternWithClamd(folder: string, sinkPort: number, clamd: Clamd): Promise<ScanningSystem> {
  const relay = await startPostern({
    folder: join(folder, "postern"),
    port: await freePort(),
    sinkPort,
    config: {
      limits: { sessionsPerClient: 1000, messageSize: "25MB" },
      plugins: [
        "@postern/plugin-access",
        "@postern/plugin-transport-smtp",
        join(repository, "bench/relay/tap-everything.ts"),
        ["@postern/plugin-av-clamd", { address: `unix:${clamd.socket}`, onError: "defer", header: true }],
      ],
    },
  });
  return { relay, helperPids: [], stop: () => relay.stop() };
}

export async function startPostfixWithMilter(folder: string, sinkPort: number, clamd: Clamd): Promise<ScanningSystem> {
  const milter = await startClamavMilter({ folder, clamdPort: clamd.socket });
  try {
    const relay = await startPostfix("postfix", join(folder, "postfix"), sinkPort, {
      smtpd_milters: `inet:127.0.0.1:${milter.port}`,
      milter_default_action: "tempfail",
    });
    return {
      relay,
      helperPids: [milter.pid],
      async stop() {
        await relay.stop();
        await milter.stop();
      },
    };
  } catch (error) {
    await milter.stop();
    throw error;
  }
}
