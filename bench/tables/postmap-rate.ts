/** How fast the real postmap answers: keys on its standard input, one process, what it takes to load the table told apart. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { findProgram } from "../../test/services/programs.ts";
import { median } from "../lib/statistics.ts";

export interface PostmapRate {
  /** From the start of the process to its end, one key asked. */
  readonly loadMs: number;
  readonly perSecond: number;
}

/**
 * `spec` as in `texthash:/path`; what `folder` has of `main.cf` is overwritten. Medians of so many `runs`. `undefined` where postmap
 * or its client for this type is not installed.
 */
export async function measurePostmap(
  folder: string,
  spec: string,
  keys: readonly string[],
  runs = 1,
): Promise<PostmapRate | undefined> {
  const program = findProgram("postmap");
  if (program === undefined) return undefined;
  const config = join(folder, "main.cf");
  writeFileSync(config, "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  // postmap waits until it is no longer hot.
  utimesSync(config, 1e9, 1e9);
  const ask = (asked: readonly string[]) => timePostmap(program, ["-c", folder, "-q", "-", spec], asked);
  const loads: number[] = [];
  const lookups: number[] = [];
  for (let run = 0; run < runs; run++) {
    const loadMs = await ask(keys.slice(0, 1));
    const allMs = await ask(keys);
    if (loadMs === undefined || allMs === undefined) return undefined;
    loads.push(loadMs);
    lookups.push(Math.max(1, allMs - loadMs));
  }
  return { loadMs: median(loads), perSecond: (keys.length / median(lookups)) * 1000 };
}

/** Milliseconds; `undefined` when it could not ask. */
async function timePostmap(
  program: string,
  args: readonly string[],
  keys: readonly string[],
): Promise<number | undefined> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"] });
  // One that ends early reads no further.
  child.stdin.on("error", () => undefined);
  child.stdin.end(keys.map((key) => `${key}\n`).join(""));
  const [said] = await Promise.all([text(child.stderr), once(child, "exit")]);
  return /fatal|unsupported/.test(said) ? undefined : performance.now() - started;
}
