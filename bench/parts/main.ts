/**
 * `npm run bench -- parts [--runs N] [--only A,B] [--quick] [--json]`: what each part on the way of a message costs, alone, in
 * microseconds of CPU a message; this process's user and system time, all its threads; clients and sinks are other processes.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/services/folder.ts";
import { findProgram } from "../../test/services/programs.ts";
import { BenchError } from "../lib/bench-error.ts";
import { describeMachine } from "../lib/machine.ts";
import { someOf, wholeNumber } from "../lib/options.ts";
import { median } from "../lib/statistics.ts";
import { formatTable } from "../lib/text-table.ts";
import { openAccept } from "./accept.ts";
import { openCommit } from "./commit.ts";
import { openJudge } from "./judge.ts";
import { measurePart, type Part, type PartScope } from "./part.ts";
import { openSchedule } from "./schedule.ts";
import { openSend } from "./send.ts";

interface Measured {
  readonly open: (scope: PartScope) => Promise<Part> | Part;
  /** At 4 KiB; a quarter of it at 64 KiB. */
  readonly messages: number;
  /** Needs smtp-source or smtp-sink. */
  readonly peer?: true;
}

const parts = {
  accept: { open: openAccept, messages: 8000, peer: true },
  judge: { open: openJudge, messages: 40_000 },
  commit: { open: openCommit, messages: 20_000 },
  schedule: { open: openSchedule, messages: 100_000 },
  send: { open: openSend, messages: 8000, peer: true },
} satisfies Record<string, Measured>;
const names = Object.keys(parts) as (keyof typeof parts)[];
const sizes = [4096, 65_536] as const;

interface PartRow {
  readonly part: string;
  readonly covers: string;
  readonly sizeBytes: number;
  /** Median over the runs. */
  readonly cpuMicros: number;
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string" },
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const runs = wholeNumber("runs", values.runs ?? (values.quick ? "1" : "3"));
  const chosen = someOf("only", values.only, names);
  const needsPeer = chosen.filter((name) => (parts[name] as Measured).peer === true);
  if (needsPeer.length > 0 && findProgram("smtp-source") === undefined) {
    throw new BenchError(
      `smtp-source and smtp-sink are not installed: apt-get install postfix, or leave out ${needsPeer.join(" and ")} with --only`,
    );
  }
  using folder = temporaryFolder();
  const rows: PartRow[] = [];
  for (const name of chosen) {
    for (const sizeBytes of sizes) {
      const { open, messages }: Measured = parts[name];
      console.error(`${name}, ${sizeBytes / 1024} KiB`);
      const part = await open({ folder: join(folder.path, `${name}-${sizeBytes}`), sizeBytes });
      const count = Math.ceil(messages / (sizeBytes > 4096 ? 4 : 1) / (values.quick ? 4 : 1));
      await measurePart(part, Math.ceil(count / 2)); // the compiler's warm-up
      const micros: number[] = [];
      for (let run = 0; run < runs; run += 1) micros.push(await measurePart(part, count));
      await part.close?.();
      rows.push({ part: name, covers: part.covers, sizeBytes, cpuMicros: median(micros) });
    }
  }
  const machine = describeMachine(folder.path);
  if (values.json) console.log(JSON.stringify({ date: new Date().toISOString(), machine, runs, rows }));
  else console.log(`\nµs of CPU a message, median of ${runs}\n${formatRows(chosen, rows)}`);
}

function formatRows(chosen: readonly string[], rows: readonly PartRow[]): string {
  const head = ["part", ...sizes.map((bytes) => `${bytes / 1024} KiB`), "what"];
  return formatTable(
    head,
    chosen.map((name) => {
      const own = rows.filter(({ part }) => part === name);
      return [name, ...own.map(({ cpuMicros }) => cpuMicros.toFixed(1)), own[0]?.covers ?? ""];
    }),
  );
}
