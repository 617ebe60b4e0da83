/**
 * Packages of table types, set up when one of their types is first asked for, so that `mysql:./aliases.cf` needs no entry in
 * `plugins`. A package says what it brings in its package.json: `"postern": { "tables": ["mysql"] }`. Knows none by name.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ConfigProblems } from "../config/problem.ts";
import type { PluginEntry } from "../config/resolve.ts";
import { ConfigError } from "../errors.ts";
import type { PluginHost, PluginInstance } from "./host.ts";
import { findInstalled } from "./resolve.ts";
import type { PluginSet } from "./set-up.ts";

export interface TablePackage {
  readonly name: string;
  readonly types: readonly string[];
}

/** Those that can be found from these folders; of two that bring a type the one that is found first. */
export function findTablePackages(folders: readonly string[]): readonly TablePackage[] {
  const found = new Map<string, TablePackage>();
  for (const folder of folders) {
    for (const name of findInstalled(folder)) {
      if (found.has(name) || !/^(?:@postern\/|postern-)plugin-maps-/.test(name)) continue;
      const types = readTypes(folder, name);
      if (types.length > 0) found.set(name, { name, types });
    }
  }
  return [...found.values()];
}

/** What the package's own description says; nothing when it cannot be read: the import will tell what is wrong. */
function readTypes(folder: string, name: string): readonly string[] {
  for (let at = folder; ; at = dirname(at)) {
    const modules = basename(at) === "node_modules" ? at : join(at, "node_modules");
    const file = join(modules, name, "package.json");
    if (existsSync(file)) {
      try {
        const { postern } = JSON.parse(readFileSync(file, "utf8")) as { postern?: { tables?: unknown } };
        return Array.isArray(postern?.tables) ? postern.tables.filter((type) => typeof type === "string") : [];
      } catch {
        return [];
      }
    }
    if (dirname(at) === at) return [];
  }
}

export interface TableProvider {
  /** Sets up the package that brings the type; nothing when there is none. Throws what a start with it in `plugins` would. */
  provide(type: string): Promise<void>;
  /** Closes what was set up. */
  close(): Promise<void>;
}

export interface TableProviderOptions {
  readonly host: Pick<PluginHost, "load">;
  readonly folders: readonly string[];
  readonly setUp: (instances: readonly PluginInstance[]) => Promise<PluginSet>;
}

export function createTableProvider({ host, folders, setUp }: TableProviderOptions): TableProvider {
  const sets = new Map<string, Promise<PluginSet>>();
  let packages: readonly TablePackage[] | undefined;

  async function begin(name: string): Promise<PluginSet> {
    const entry: PluginEntry = { specifier: name, options: {}, index: 0 };
    try {
      const set = await setUp(await host.load([entry]));
      try {
        await set.ready();
      } catch (error) {
        await set.close();
        throw error;
      }
      return set;
    } catch (error) {
      throw new ConfigError(`${name} cannot be used: ${reasonOf(error)}`, { cause: error });
    }
  }

  return {
    async provide(type) {
      packages ??= findTablePackages(folders);
      const found = packages.find(({ types }) => types.includes(type));
      if (found === undefined) return;
      let set = sets.get(found.name);
      if (set === undefined) sets.set(found.name, (set = begin(found.name)));
      await set;
    },
    async close() {
      for (const set of await Promise.allSettled(sets.values())) {
        if (set.status === "fulfilled") await set.value.close();
      }
    },
  };
}

/** Without the place in a config: the package stands in none. */
function reasonOf(error: unknown): string {
  if (!(error instanceof ConfigProblems)) return (error as Error).message;
  return error.problems.map(({ path, message }) => message.replace(`${path}: `, "")).join("; ");
}
