/** How fast the real postmap answers: keys on its standard input, one process, what it takes to load the table told apart. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../test/services/programs.ts";
import { median } from "../lib/statistics.ts";

export interface PostmapRate {
  /** From the start of the process to its end, one key asked. */
  readonly loadMs: number;
  readonly perSecond: number;
}

/** `spec` as in `texthash:/path`; `undefined` where postmap is not installed. */
export async function measurePostmap(
  folder: string,
  spec: string,
  keys: readonly string[],
  runs: number,
): Promise<PostmapRate | undefined> {
  const program = findProgram("postmap");
  if (program === undefined) return undefined;
  writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  const one = keys.slice(0, 1);
  const loads: number[] = [];
  const lookups: number[] = [];
  for (let run = 0; run < runs; run++) {
    const loadMs = await ask(program, folder, spec, one);
    loads.push(loadMs);
    lookups.push((await ask(program, folder, spec, keys)) - loadMs);
  }
  return { loadMs: median(loads), perSecond: (keys.length / median(lookups)) * 1000 };
}

/** Milliseconds. */
async function ask(program: string, folder: string, spec: string, keys: readonly string[]): Promise<number> {
  const input = keys.map((key) => `${key}\n`).join("");
  const started = performance.now();
  const child = spawn(program, ["-c", folder, "-q", "-", spec], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(input);
  await once(child, "exit");
  return performance.now() - started;
}
