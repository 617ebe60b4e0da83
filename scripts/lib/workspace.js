// What every npm script begins with: Node 24, then the dependencies of the lock file, then the real thing with both.
// Plain JavaScript for Node 18 or newer, without dependencies, since it runs before any are there.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild } from "../../packages/cli/bin/child.js";
import { environmentFor, findNode, npmCommand, ShimError } from "../../packages/cli/bin/node.js";
import { withMutex } from "./mutex.js";

/** The folder of the clone. */
export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const lockFile = join(root, "package-lock.json");
/** npm writes it last, so it tells that an installation is whole. */
const installed = join(root, "node_modules", ".package-lock.json");
/** The digest of the lock file that we installed; times alone mislead after a copy of the tree. */
const stamp = join(root, "node_modules", ".postern-installed");
const mutex = join(root, ".postern-installing");

/**
 * Runs `body({ node, env, run })` with Node 24 found and dependencies installed, and ends with the status it returns.
 * `run(args, options?)` is the status of Node 24 run with these arguments in the root folder. A ShimError is one sentence on
 * stderr.
 */
export async function withWorkspace(body) {
  try {
    const node = findNode();
    const env = environmentFor(node);
    installDependencies(env);
    const run = (args, options = {}) =>
      runChild(node, args, { cwd: root, ...options, env: { ...env, ...options.env } });
    process.exitCode = await body({ node, env, run });
  } catch (error) {
    if (!(error instanceof ShimError)) throw error;
    process.stderr.write(`postern: ${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

/** `npm ci` when node_modules is missing or does not belong to the lock file; one at a time in one clone. */
function installDependencies(env) {
  if (isInstalled()) return;
  const onWait = () => process.stderr.write("postern: another run is installing the dependencies, waiting for it\n");
  try {
    withMutex(mutex, onWait, () => {
      // Another one may have done it while we waited.
      if (!isInstalled()) runNpmCi(env);
    });
  } catch (error) {
    if (error instanceof ShimError || error.path !== mutex) throw error;
    throw new ShimError(`the dependencies cannot be installed: ${root} is not writable (${error.code})`, 73);
  }
}

function runNpmCi(env) {
  process.stderr.write("postern: installing the dependencies named in package-lock.json\n");
  const npm = workingNpm(env);
  const result = spawnSync(
    npm.command,
    [...npm.args, "ci", "--include=dev", "--global=false", "--no-audit", "--no-fund", "--loglevel=error"],
    { cwd: root, env: npm.env, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (result.signal) throw new ShimError(`installing was interrupted by ${result.signal}`, 130);
  if (result.status !== 0) {
    process.stderr.write(result.stderr ?? "");
    throw new ShimError("the dependencies could not be installed; check the network and npm's registry setting");
  }
  writeFileSync(stamp, digestOfLock());
}

function isInstalled() {
  const done = modifiedMs(installed);
  if (done === undefined) return false;
  if (done >= (modifiedMs(lockFile) ?? 0)) return true;
  try {
    return readFileSync(stamp, "utf8") === digestOfLock();
  } catch {
    return false;
  }
}

function digestOfLock() {
  return createHash("sha256").update(readFileSync(lockFile)).digest("hex");
}

function modifiedMs(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

/** npm under Node 24; a distribution's npm may be tied to the distribution's Node, then it runs under that. */
function workingNpm(env) {
  const [first, ...rest] = npmCommand(env);
  const candidates =
    rest.length > 0
      ? [
          { command: "node", args: rest, env },
          { command: first, args: rest, env: process.env },
        ]
      : [
          { command: first, args: [], env },
          { command: first, args: [], env: process.env },
        ];
  for (const candidate of candidates) {
    const { status } = spawnSync(candidate.command, [...candidate.args, "--version"], {
      env: candidate.env,
      stdio: "ignore",
    });
    if (status === 0) return candidate;
  }
  throw new ShimError("npm, which would install the dependencies, is not installed or does not run; install npm");
}
