/** From a plugin's name in the config to the file that is imported. Knows no plugin by name. */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { moduleResolve } from "import-meta-resolve";
import { ConfigError } from "../errors.ts";
import { didYouMean } from "../config/nearest.ts";

const fromSource = import.meta.url.endsWith(".ts");
const installedConditions = new Set(["node", "import"]);
const sourceConditions = new Set(["@postern/source", ...installedConditions]);

/**
 * A path or package, sought from the config's folder and then from the others in turn (the command's own installation). The
 * real path of the file. Throws `ConfigError`, naming the nearest installed plugin.
 */
export function resolvePlugin(specifier: string, folders: readonly string[]): string {
  const [home = "."] = folders;
  const isLocal = isPath(specifier);
  for (const folder of isLocal ? [home] : folders) {
    const found = resolveFrom(specifier, folder);
    if (found !== undefined) return found;
  }
  if (isLocal) throw new ConfigError(`there is no file ${fileURLToPath(new URL(specifier, parentUrl(home)))}`);
  throw new ConfigError(`"${specifier}" is not installed${suggest(specifier, folders)}`);
}

export function isPath(specifier: string): boolean {
  return /^(?:\.{0,2}\/|file:)/.test(specifier);
}

/** The conditions of a source tree count only where nothing is installed: Node strips no types in node_modules. */
function resolveFrom(specifier: string, folder: string): string | undefined {
  if (fromSource) {
    const source = tryResolve(specifier, folder, sourceConditions);
    if (source !== undefined && !source.includes(`${sep}node_modules${sep}`)) return source;
  }
  return tryResolve(specifier, folder, installedConditions);
}

function tryResolve(specifier: string, folder: string, conditions: Set<string>): string | undefined {
  try {
    return realpathSync(fileURLToPath(moduleResolve(specifier, parentUrl(folder), conditions)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" || code === "ENOENT") return undefined;
    if (code === "ERR_PACKAGE_PATH_NOT_EXPORTED" || code === "ERR_UNSUPPORTED_DIR_IMPORT") {
      throw new ConfigError(`"${specifier}" is no plugin: nothing in it can be imported`, { cause: error });
    }
    throw new ConfigError(`"${specifier}" is no name of a package and no path`, { cause: error });
  }
}

function parentUrl(folder: string): URL {
  return pathToFileURL(join(folder, "postern.config.js"));
}

function suggest(specifier: string, folders: readonly string[]): string {
  const [home = "."] = folders;
  if (existsSync(join(home, specifier))) return `; did you mean "./${specifier}"?`;
  const installed = folders.flatMap(findInstalled);
  // `greylist` for @postern/plugin-greylist, also when it is misspelt, or one part of the name is left out.
  const full = installed.find((name) => shortName(name) === specifier || shortName(name).endsWith(`-${specifier}`));
  if (full !== undefined) return `; did you mean "${full}"?`;
  const byName = didYouMean(specifier, installed);
  if (byName !== "") return byName;
  const short = /"([^"]+)"/.exec(didYouMean(specifier, installed.map(shortName)))?.[1];
  const meant = installed.find((name) => shortName(name) === short);
  return meant === undefined ? `; install it with npm install ${specifier}` : `; did you mean "${meant}"?`;
}

const shortName = (name: string): string => name.replace(/^@[^/]+\/plugin-|^postern-plugin-/, "");

/** Names of the plugins in the `node_modules` of a folder and its parents. */
export function findInstalled(folder: string): readonly string[] {
  const found: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const modules = basename(at) === "node_modules" ? at : join(at, "node_modules");
    found.push(...list(join(modules, "@postern"), /^plugin-/).map((name) => `@postern/${name}`));
    found.push(...list(modules, /^postern-plugin-/));
    if (dirname(at) === at) return found;
  }
}

function list(folder: string, form: RegExp): string[] {
  try {
    return readdirSync(folder).filter((name) => form.test(name));
  } catch {
    return [];
  }
}
