// What every npm script begins with: Node 24, then the dependencies of the lock file, then the real thing with both.
// Plain JavaScript for Node 18 or newer, without dependencies, since it runs before any are there.
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild, runQuietly } from "../../packages/cli/bin/child.js";
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
    const node = await findNode();
    const env = environmentFor(node);
    await installDependencies(env);
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
async function installDependencies(env) {
  if (isInstalled()) return;
  const onWait = () => process.stderr.write("postern: another run is installing the dependencies, waiting for it\n");
  try {
    await withMutex(mutex, onWait, async () => {
      // Another one may have done it while we waited.
      if (!isInstalled()) await runNpmCi(env);
    });
  } catch (error) {
    if (error instanceof ShimError || error.path !== mutex) throw error;
    throw new ShimError(`the dependencies cannot be installed: ${root} is not writable (${error.code})`, 73);
  }
}

async function runNpmCi(env) {
  process.stderr.write("postern: installing the dependencies named in package-lock.json\n");
  const npm = await findWorkingNpm(env);
  const options = ["--include=dev", "--global=false", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, stderr } = await runQuietly(npm.command, [...npm.args, "ci", ...options], {
    cwd: root,
    env: npm.env,
  });
  if (status > 128) throw new ShimError("installing the dependencies was interrupted", status);
  if (status !== 0) {
    process.stderr.write(stderr);
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

/**
 * npm under Node 24, since npm leaves out optional packages that do not want the Node it runs on. It takes the place of
 * its global settings from where its Node stands, so it is told the right one. A distribution's npm may be tied to the
 * distribution's Node; then it runs under that.
 */
async function findWorkingNpm(env) {
  const [command, ...args] = npmCommand(env);
  const usual = { command, args, env: process.env };
  const settings = await tryNpm(usual, "config", "get", "globalconfig");
  if (settings === undefined)
    throw new ShimError("npm, which would install the dependencies, is not installed or does not run; install npm");
  const wanted = {
    command: args.length > 0 ? "node" : command,
    args,
    env: { ...env, npm_config_globalconfig: settings },
  };
  return (await tryNpm(wanted, "--version")) === undefined ? usual : wanted;
}

/** What npm prints; `undefined` when it is not there or fails. */
async function tryNpm(npm, ...args) {
  try {
    const { status, stdout } = await runQuietly(npm.command, [...npm.args, ...args], { cwd: root, env: npm.env });
    return status === 0 ? stdout.trim() : undefined;
  } catch {
    return undefined;
  }
}
