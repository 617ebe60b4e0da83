/** One size of message through both, in turn. Where clamd is the limit both wait for it alike, and only the CPU is compared. */
import { freePort } from "../../test/services/ports.ts";
import type { CaseOptions, Figure, FigureCase } from "../lib/figure-case.ts";
import { readCpuSeconds } from "../lib/process-usage.ts";
import { median } from "../lib/statistics.ts";
import type { Load } from "../relay/loads.ts";
import { untilGreeting } from "../relay/postern.ts";
import { runLoad } from "../relay/run.ts";
import { startSink, type CountingSink } from "../relay/sink.ts";
import { startBenchClamd, startPosternWithClamd, startPostfixWithMilter, type ScanningSystem } from "./systems.ts";

interface Size {
  readonly name: string;
  readonly size: string;
  readonly messages: number;
  readonly sizeBytes: number;
  /** Times Postfix's rate; none where clamd is the limit. */
  readonly rate?: number;
}

interface Run {
  readonly perSecond: number;
  /** Milliseconds of CPU a message: the gateway with what it needs beside clamd, and clamd. */
  readonly gatewayMs: number;
  readonly clamdMs: number;
}

/** Of the gateway's CPU against Postfix's and the milter's. */
const cpuPart = 100 / 3;

export function scanCase({ name, size, messages, sizeBytes, rate }: Size): FigureCase {
  return {
    name,
    what: `messages of ${size}, many a session and 20 sessions, relayed and scanned by one clamd: Postern, and Postfix with clamav-milter, in turn`,
    needs: ["smtp-source", "smtp-sink", "postfix", "clamd", "clamav-milter"],
    async measure({ folder, runs, quick }: CaseOptions): Promise<readonly Figure[]> {
      const load: Load = {
        label: name,
        messages: quick ? Math.ceil(messages / 10) : messages,
        sizeBytes,
        sessions: 20,
        keepSession: true,
        latency: { messages: 0, messagesPerSecond: 1 },
      };
      const stops: (() => unknown)[] = [];
      try {
        const clamd = await startBenchClamd(folder);
        stops.push(() => clamd.stop());
        const sink = startSink(await freePort());
        stops.push(() => sink.stop());
        await untilGreeting(sink.port);
        const systems: ScanningSystem[] = [];
        for (const start of [startPosternWithClamd, startPostfixWithMilter]) {
          const system = await start(folder, sink.port, clamd);
          stops.push(() => system.stop());
          systems.push(system);
        }
        const measured = systems.map((): Run[] => []);
        // The first round warms both up; each goes first as often as the other.
        for (let round = 0; round <= runs; round += 1) {
          for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) {
            const run = await runOnce(systems[at] as ScanningSystem, sink, load, clamd.pid);
            if (round > 0) measured[at]?.push(run);
          }
        }
        return figuresOf(measured[0] ?? [], measured[1] ?? [], rate);
      } finally {
        for (const stop of stops.toReversed()) await stop();
      }
    },
  };
}

async function runOnce(system: ScanningSystem, sink: CountingSink, load: Load, clamdPid: number): Promise<Run> {
  const helpers = (): number => system.helperPids.reduce((sum, pid) => sum + readCpuSeconds(pid), 0);
  const [helpersBefore, clamdBefore] = [helpers(), readCpuSeconds(clamdPid)];
  const rates = await runLoad(system.relay, sink, load);
  const perMessage = (seconds: number): number => (seconds / load.messages) * 1000;
  return {
    perSecond: rates.endToEndPerSecond,
    gatewayMs: rates.cpuPerThousand + perMessage(helpers() - helpersBefore),
    clamdMs: perMessage(readCpuSeconds(clamdPid) - clamdBefore),
  };
}

function figuresOf(postern: readonly Run[], postfix: readonly Run[], rate: number | undefined): readonly Figure[] {
  const of = (runs: readonly Run[], figure: keyof Run): number => median(runs.map((run) => run[figure]));
  const [ours, theirs] = [of(postern, "perSecond"), of(postfix, "perSecond")];
  const [ourCpu, theirCpu] = [of(postern, "gatewayMs"), of(postfix, "gatewayMs")];
  return [
    { what: "Postern", value: ours, unit: "/s" },
    { what: "Postfix and clamav-milter", value: theirs, unit: "/s" },
    {
      what: "rate, Postern's to Postfix's",
      value: ours / theirs,
      unit: "times",
      ...(rate !== undefined && { goal: { least: rate } }),
    },
    { what: "CPU a message, Postern", value: ourCpu, unit: "ms" },
    { what: "CPU a message, Postfix and clamav-milter", value: theirCpu, unit: "ms" },
    { what: "CPU, Postern's part of theirs", value: (ourCpu / theirCpu) * 100, unit: "%", goal: { most: cpuPart } },
    { what: "CPU a message, clamd for Postern", value: of(postern, "clamdMs"), unit: "ms" },
    { what: "CPU a message, clamd for clamav-milter", value: of(postfix, "clamdMs"), unit: "ms" },
  ];
}
