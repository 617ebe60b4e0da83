/**
 * `npm run bench -- relay`: smtp-source → relay → smtp-sink, systems in turn in one run, medians and ratios. Both relays
 * answer 250 only after an fsync. The machine's load disturbs both alike: read the ratios.
 */
import { mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/services/folder.ts";
import { freePort } from "../../test/services/ports.ts";
import { startPostfixRelay } from "../../test/services/postfix.ts";
import { median } from "../lib/statistics.ts";
import { startPostern, untilGreeting } from "./postern.ts";
import { runLoad, type Load, type Result, type System } from "./run.ts";
import { startSink } from "./sink.ts";

const loads: readonly Load[] = [
  { label: "4 KiB, many a session", messages: 4000, sizeBytes: 4096, sessions: 20, keepSession: true },
  { label: "4 KiB, one a session", messages: 3000, sizeBytes: 4096, sessions: 20, keepSession: false },
  { label: "64 KiB, many a session", messages: 2000, sizeBytes: 65_536, sessions: 20, keepSession: true },
  { label: "1 MiB, many a session", messages: 200, sizeBytes: 1_048_576, sessions: 20, keepSession: true },
];

interface Row {
  readonly load: string;
  readonly system: string;
  readonly acceptPerSecond: number;
  readonly endToEndPerSecond: number;
  readonly cpuPerThousand: number;
  readonly peakRssMiB: number;
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      system: { type: "string", default: "postfix,postern" },
      json: { type: "boolean", default: false },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs takes a whole number from 1");
  const wanted = values.system.split(",");
  using folder = temporaryFolder();
  const sink = startSink(await freePort());
  await untilGreeting(sink.port);
  const systems: System[] = [];
  try {
    if (wanted.includes("postfix")) {
      systems.push(await startPostfix(join(folder.path, "a"), sink.port));
    }
    if (wanted.includes("postern")) {
      systems.push(await startPostern(join(folder.path, "b"), await freePort(), sink.port));
    }
    const rows: Row[] = [];
    for (const load of loads.filter(({ label }) => label.includes(values.only))) {
      rows.push(...(await measure(systems, sink, load, runs, values.json)));
    }
    if (values.json) console.log(JSON.stringify({ date: new Date().toISOString(), machine: machine(), runs, rows }));
  } finally {
    await Promise.all(systems.map((system) => system.stop()));
    sink.stop();
  }
}

async function startPostfix(folder: string, sinkPort: number): Promise<System> {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const postfix = await startPostfixRelay({ folder, relayhost: `[127.0.0.1]:${sinkPort}` });
  return { name: "postfix", port: postfix.port, pid: postfix.pid, stop: () => postfix.stop() };
}

async function measure(
  systems: readonly System[],
  sink: ReturnType<typeof startSink>,
  load: Load,
  runs: number,
  quiet: boolean,
): Promise<Row[]> {
  const results = new Map<System, Result[]>(systems.map((system) => [system, []]));
  for (const system of systems) await runLoad(system, sink, { ...load, messages: Math.ceil(load.messages / 4) });
  for (let run = 0; run < runs; run += 1) {
    for (const system of systems) results.get(system)?.push(await runLoad(system, sink, load));
  }
  const rows = systems.map((system) => summarise(load, system, results.get(system) ?? []));
  if (!quiet) print(load, rows);
  return rows;
}

function summarise(load: Load, system: System, results: readonly Result[]): Row {
  const of = (pick: (result: Result) => number) => median(results.map(pick));
  return {
    load: load.label,
    system: system.name,
    acceptPerSecond: of((result) => result.acceptPerSecond),
    endToEndPerSecond: of((result) => result.endToEndPerSecond),
    cpuPerThousand: of((result) => result.cpuPerThousand),
    peakRssMiB: of((result) => result.peakRssBytes) / 1_048_576,
  };
}

function print(load: Load, rows: readonly Row[]): void {
  console.log(`\n${load.label} (${load.messages} messages, ${load.sessions} sessions)`);
  const [base] = rows;
  for (const row of rows) {
    const ratio =
      base === undefined || row === base
        ? ""
        : `  ${(row.endToEndPerSecond / base.endToEndPerSecond).toFixed(1)} times ${base.system}, CPU 1/${(base.cpuPerThousand / row.cpuPerThousand).toFixed(1)}`;
    console.log(
      `  ${row.system.padEnd(8)} accepts ${row.acceptPerSecond.toFixed(0).padStart(5)}/s, end to end ${row.endToEndPerSecond.toFixed(0).padStart(5)}/s, ` +
        `CPU ${row.cpuPerThousand.toFixed(2)} s/1,000, peak ${row.peakRssMiB.toFixed(0)} MiB${ratio}`,
    );
  }
}

function machine(): string {
  return `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}, Node ${process.version}`;
}
