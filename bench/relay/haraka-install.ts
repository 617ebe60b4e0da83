/** Haraka as npm has it, pinned by the lock file in haraka/, installed when first asked for into the cache folder. */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cacheFolder } from "../../packages/cli/bin/node.js";
import { BenchError } from "../lib/bench-error.ts";

const here = fileURLToPath(new URL("haraka", import.meta.url));
const installWithinMs = 180_000;

const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8")) as {
  dependencies: { Haraka: string };
};
export const harakaVersion = dependencies.Haraka;

/** Its folder. Rejects with a BenchError when npm cannot bring it. Nothing of it runs while it is installed. */
export async function installHaraka(): Promise<string> {
  const home = join(cacheFolder(), `bench-haraka-${harakaVersion}`);
  const folder = join(home, "node_modules", "Haraka");
  // npm writes this last, so it tells that an installation is whole.
  if (existsSync(join(home, "node_modules", ".package-lock.json"))) return folder;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(here, file), join(home, file));
  const args = ["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"];
  try {
    await promisify(execFile)("npm", args, { cwd: home, timeout: installWithinMs });
  } catch (error) {
    const [reason] = (error as Error).message.split("\n").slice(-2);
    throw new BenchError(`Haraka ${harakaVersion} could not be installed with npm: ${reason}`);
  }
  return folder;
}
