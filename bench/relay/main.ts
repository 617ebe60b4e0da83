/**
 * `npm run bench -- relay [--runs N] [--only TEXT] [--system A,B] [--quick] [--json] [--write]`: smtp-source → system →
 * smtp-sink, systems in turn, medians and ratios. All answer 250 only after an fsync. The machine's load disturbs all
 * alike: read the ratios. Progress goes to standard error; `--write` makes docs/evidence and the README's figures.
 */
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/services/folder.ts";
import { freePort } from "../../test/services/ports.ts";
import { findProgram } from "../../test/services/programs.ts";
import { BenchError } from "../lib/bench-error.ts";
import { describeMachine } from "../lib/machine.ts";
import { someOf, wholeNumber } from "../lib/options.ts";
import { writeEvidence } from "./evidence.ts";
import { harakaVersion } from "./haraka-install.ts";
import { loads, quickened, type Load } from "./loads.ts";
import { repository, untilGreeting } from "./postern.ts";
import { formatLoad, type RelayEvidence } from "./report.ts";
import { summarise, type Row } from "./row.ts";
import { runLatency, runLoad, type Rates, type System } from "./run.ts";
import { startSink, type CountingSink } from "./sink.ts";
import { startSystem, systemNames, type SystemName } from "./systems.ts";

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string" },
      only: { type: "string", default: "" },
      system: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { quick, json, write } = values;
  if (quick && write) throw new BenchError("--write needs whole runs: leave out --quick", 64);
  const runs = wholeNumber("runs", values.runs ?? (quick ? "1" : "3"));
  const names = someOf("system", values.system, systemNames);
  const chosen = loads
    .filter(({ label }) => ` ${label}`.includes(` ${values.only}`))
    .map((load) => (quick ? quickened(load) : load));
  if (chosen.length === 0) {
    throw new BenchError(
      `--only: no load has that in its name; there are ${loads.map(({ label }) => `"${label}"`).join(", ")}`,
      64,
    );
  }
  requireTools(names);
  using folder = temporaryFolder();
  const machine = describeMachine(folder.path);
  if (machine.fileSystem === "tmpfs") {
    throw new BenchError(`${tmpdir()} is in memory, where an fsync costs nothing; name a folder on a disk with TMPDIR`);
  }
  const before = loadavg()[0] ?? 0;
  const sink = startSink(await freePort());
  const systems: System[] = [];
  try {
    await untilGreeting(sink.port);
    const unavailable = await startAll(names, folder.path, sink.port, systems);
    const rows: Row[] = [];
    for (const load of chosen) {
      rows.push(...(await measure(systems, sink, load, runs)));
      if (!json) console.log(formatLoad(load, rows));
    }
    for (const { system, reason } of unavailable) if (!json) console.log(`\n${system}: not measured: ${reason}`);
    const evidence: RelayEvidence = {
      date: new Date().toISOString(),
      command: ["npm run bench -- relay", ...args].join(" "),
      machine,
      runs,
      quick,
      loadAverage: [before, loadavg()[0] ?? 0],
      versions: systems.some(({ name }) => name === "haraka") ? { Haraka: harakaVersion } : {},
      loads: chosen,
      rows,
      unavailable,
    };
    if (json) console.log(JSON.stringify(evidence));
    if (write) for (const file of writeEvidence(repository, evidence)) console.error(`wrote ${file}`);
  } finally {
    await Promise.all(systems.map((system) => system.stop()));
    sink.stop();
  }
}

/** Source and sink come with Postfix, so that nothing runs without it. */
function requireTools(names: readonly SystemName[]): void {
  const missing = ["smtp-source", "smtp-sink", "postfix"].filter((program) => findProgram(program) === undefined);
  if (missing.length > 0) {
    throw new BenchError(
      `${missing.join(", ")} not installed; all are in the package postfix: apt-get install postfix (no need to configure or start it)`,
    );
  }
  if (names.some((name) => name.startsWith("postfix")) && process.getuid?.() !== 0) {
    throw new BenchError(
      "Postfix can only be started by root; run as root, or leave it out: --system haraka,postern",
      77,
    );
  }
}

/** Only what others make may be missing: what we make must run. */
async function startAll(
  names: readonly SystemName[],
  folder: string,
  sinkPort: number,
  systems: System[],
): Promise<RelayEvidence["unavailable"]> {
  const unavailable: { system: string; reason: string }[] = [];
  for (const name of names) {
    console.error(`starting ${name}`);
    try {
      systems.push(await startSystem(name, join(folder, name), sinkPort));
    } catch (error) {
      if (name !== "haraka") throw error;
      const [reason = ""] = (error as Error).message.split("\n");
      console.error(`${name}: ${reason}`);
      unavailable.push({ system: name, reason });
    }
  }
  return unavailable;
}

async function measure(systems: readonly System[], sink: CountingSink, load: Load, runs: number): Promise<Row[]> {
  const rates = new Map<System, Rates[]>(systems.map((system) => [system, []]));
  const waits = new Map<System, number[]>(systems.map((system) => [system, []]));
  for (const system of systems) {
    console.error(`${load.label}: warming up ${system.name}`);
    await runLoad(system, sink, { ...load, messages: Math.ceil(load.messages / 2) });
  }
  for (let run = 0; run < runs; run += 1) {
    for (const system of systems) {
      const result = await runLoad(system, sink, load);
      rates.get(system)?.push(result);
      waits.get(system)?.push(...(await runLatency(system, sink, load)));
      const rate = `${result.endToEndPerSecond.toFixed(0)}/s, CPU ${result.cpuPerThousand.toFixed(2)} s/1,000`;
      console.error(`${load.label}: run ${run + 1} of ${runs}, ${system.name}: ${rate}`);
    }
  }
  return systems.map((system) => summarise(load.label, system.name, rates.get(system) ?? [], waits.get(system) ?? []));
}
