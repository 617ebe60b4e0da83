/** A million lines of an alias table: how long a start waits for them, what they weigh, how fast they answer. */
import { execFile } from "node:child_process";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { randomFrom } from "../../test/sampling.ts";
import { median } from "../lib/statistics.ts";
import type { CaseOptions, Figure, FigureCase } from "../lib/figure-case.ts";
import { measurePostmap } from "./postmap-rate.ts";
import type { TexthashRun } from "./texthash-run.ts";

const run = promisify(execFile);
const asked = 200_000;

export const texthashCase: FigureCase = {
  name: "texthash",
  what: "a million lines, keys in random order, in a process of its own",
  needs: [],
  measure,
};

async function measure({ folder, runs, quick }: CaseOptions): Promise<readonly Figure[]> {
  const lines = quick ? 100_000 : 1_000_000;
  const path = join(folder, "aliases");
  const keyOf = (number: number) => `user${number}@domain${number % 5000}.example`;
  const entries = Array.from({ length: lines }, (_, at) => `${keyOf(at)}  box${at}@store${at % 300}.example\n`);
  writeFileSync(path, entries.join(""));
  // Postfix waits until a file is no longer hot.
  utimesSync(path, 1e9, 1e9);
  const random = randomFrom(1);
  const keys = Array.from({ length: asked }, () => keyOf(Math.floor(random() * lines)));
  writeFileSync(join(folder, "keys"), keys.join("\n"));

  const results: TexthashRun[] = [];
  for (let at = 0; at < runs; at++) {
    const program = join(import.meta.dirname, "texthash-run.ts");
    const { stdout } = await run(process.execPath, ["--conditions=@postern/source", program, folder]);
    results.push(JSON.parse(stdout) as TexthashRun);
  }
  const of = (name: keyof TexthashRun) => median(results.map((result) => result[name]));
  // Enough of them that the time for the file does not drown the time for the keys.
  const often = Array.from({ length: 10 }, () => keys).flat();
  const postmap = await measurePostmap(folder, `texthash:${path}`, often, runs);
  return [
    { what: "load", value: of("loadMs") / 1000, unit: "s", goal: { most: 2 } },
    { what: "longest stall meanwhile", value: of("stallMs"), unit: "ms" },
    { what: "resident set, peak", value: of("peakBytes") / 1e6, unit: "MB", goal: { most: 300 } },
    { what: "  of it before the load", value: of("beforeBytes") / 1e6, unit: "MB" },
    { what: "lookups, found", value: of("found"), unit: "/s", goal: { least: 2e6 } },
    { what: "lookups, not found", value: of("missed"), unit: "/s", goal: { least: 2e6 } },
    ...(postmap === undefined
      ? []
      : [
          { what: "postmap: start and load", value: postmap.loadMs / 1000, unit: "s" } as const,
          { what: "postmap -q -", value: postmap.perSecond, unit: "/s" } as const,
        ]),
  ];
}
