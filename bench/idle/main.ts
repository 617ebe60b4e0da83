/**
 * `npm run bench -- idle [--runs N] [--only A,B] [--json]`: what a gateway costs before any mail comes, and one large message:
 * built code (`npm run build` runs first), the config of the relay benchmark without its plugin in TypeScript.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/services/folder.ts";
import { freePort } from "../../test/services/ports.ts";
import { findProgram } from "../../test/services/programs.ts";
import { BenchError } from "../lib/bench-error.ts";
import { describeMachine } from "../lib/machine.ts";
import { someOf, wholeNumber } from "../lib/options.ts";
import { median } from "../lib/statistics.ts";
import { formatTable } from "../lib/text-table.ts";
import { repository, untilGreeting } from "../relay/postern.ts";
import { startSink } from "../relay/sink.ts";
import { measureIdle, measureLarge, measureSessions, measureStart } from "./measures.ts";

const figures = {
  start: { what: "spawn to 220", unit: "ms", per: 1, goal: 500, measure: measureStart },
  rss: { what: "resident set, idle", unit: "MB", per: 1e6, goal: 100, measure: measureIdle },
  sessions: { what: "one of 1,000 idle sessions", unit: "KB", per: 1e3, goal: 40, measure: measureSessions },
  large: { what: "growth by one 50 MB message", unit: "MB", per: 1e6, goal: 64, measure: measureLarge },
} as const;
const names = Object.keys(figures) as (keyof typeof figures)[];

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
    },
  });
  const runs = wholeNumber("runs", values.runs);
  const chosen = someOf("only", values.only, names);
  if (findProgram("smtp-sink") === undefined) {
    throw new BenchError("smtp-sink is not installed; it is in the package postfix: apt-get install postfix");
  }
  build();
  using folder = temporaryFolder();
  const sink = startSink(await freePort());
  const rows = [];
  try {
    await untilGreeting(sink.port);
    for (const name of chosen) {
      const { what, unit, per, goal, measure } = figures[name];
      const values: number[] = [];
      for (let run = 0; run < runs; run += 1) {
        console.error(`${what}: run ${run + 1} of ${runs}`);
        values.push((await measure({ folder: folder.path, sink })) / per);
      }
      const value = median(values);
      rows.push({ name, what, unit, value, goal, met: value < goal });
    }
  } finally {
    sink.stop();
  }
  const machine = describeMachine(folder.path);
  if (values.json) return console.log(JSON.stringify({ date: new Date().toISOString(), machine, runs, rows }));
  const lines = rows.map(({ what, value, unit, goal, met }) => [
    what,
    `${value.toFixed(1)} ${unit}`,
    `${goal} ${unit}`,
    met ? "met" : "missed",
  ]);
  console.log(`\nmedian of ${runs}\n${formatTable(["figure", "measured", "goal: below", ""], lines)}`);
}

function build(): void {
  console.error("building");
  try {
    const compiler = join(repository, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [compiler, "-b", "tsconfig.build.json"], { cwd: repository, encoding: "utf8" });
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    throw new BenchError(`npm run build fails, and idle runs what it makes:\n${stdout.slice(0, 2000)}`);
  }
}
