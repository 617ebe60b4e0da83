/** The rate of the real `postmap -q -`: the time for many keys, less the time for one, which is the loading. */
import { spawnSync } from "node:child_process";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface PostmapRate {
  readonly lookupsPerSecond: number;
  /** Keys that were found. */
  readonly found: number;
}

/** Missing where Postfix has not this type. `spec` names a file in `folder`. */
export function measurePostmap(folder: string, spec: string, keys: readonly string[]): PostmapRate | undefined {
  const config = join(folder, "main.cf");
  writeFileSync(config, "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  // postmap waits until it is no longer hot.
  utimesSync(config, 1e9, 1e9);
  const ask = (asked: readonly string[]) => {
    const start = performance.now();
    const { stdout, status, stderr } = spawnSync("postmap", ["-c", folder, "-q", "-", spec], {
      encoding: "utf8",
      input: asked.map((key) => `${key}\n`).join(""),
      maxBuffer: 2 ** 30,
    });
    const known = status !== null && !/fatal|unsupported/.test(stderr);
    return { ms: performance.now() - start, found: stdout === null ? 0 : stdout.split("\n").length - 1, known };
  };
  const one = ask(keys.slice(0, 1));
  const all = ask(keys);
  if (!one.known || !all.known) return undefined;
  return { lookupsPerSecond: (keys.length / Math.max(1, all.ms - one.ms)) * 1_000, found: all.found };
}
