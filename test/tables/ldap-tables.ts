// Tables of type ldap for the tests, asked by us and by the real postmap.
import { execFile, spawnSync } from "node:child_process";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import plugin from "@postern/plugin-maps-ldap";
import { foldKey, systemClock, TableUnavailable } from "@postern/core";
import type { LookupTable, OpenTable, TableScope } from "@postern/core";

/** What is not found is `undefined`; what cannot be asked is this word. */
export const unavailable = "(unavailable)";

export type Parameters = Readonly<Record<string, string>>;

/** Opens as the registry does. `warnings` collects what the operator would be told. */
export function openLdap(directory: string, warnings: string[] = []): OpenLdap {
  let open: OpenTable | undefined;
  // The plugin asks nothing else of its gateway.
  void plugin.setup({ tables: { register: (_type: string, opener: OpenTable) => (open = opener) } } as never, {});
  const scope: TableScope = {
    directory,
    clock: systemClock,
    purpose: {},
    warn: (message) => warnings.push(message),
    open: () => Promise.reject(new Error("no tables inside tables here")),
  };
  return async (parameters, name = "") => {
    if (open === undefined) throw new Error("the plugin registers no type");
    return open(name, scope, parameters);
  };
}

export type OpenLdap = (parameters: Record<string, unknown>, name?: string) => Promise<LookupTable>;

/** The key folded as the registry folds it for tables of fixed keys. */
export async function ask(table: LookupTable, key: string): Promise<string | undefined> {
  try {
    return await table.lookup(table.kind === "indexed" ? foldKey(key) : key);
  } catch (error) {
    if (error instanceof TableUnavailable) return unavailable;
    throw error;
  }
}

export function writeCf(folder: string, name: string, parameters: Parameters): string {
  const path = join(folder, name);
  const lines = Object.entries(parameters).map(([key, value]) => `${key} = ${value}\n`);
  writeFileSync(path, lines.join(""));
  // Postfix waits until a file is a second old.
  utimesSync(path, 1e9, 1e9);
  return path;
}

/** Postmap with a main.cf of its own. */
export class Postmap {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  }

  /** One key; `unavailable` where postmap says that the query failed, for which it takes a second. */
  ask(path: string, key: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      execFile("postmap", ["-c", this.#folder, "-q", key, `ldap:${path}`], (error, stdout, stderr) => {
        if (error === null) resolve(stdout.replace(/\n$/, ""));
        else resolve(stdout === "" && stderr === "" ? undefined : unavailable);
      });
    });
  }

  /** Many keys without line ends, all of which must have an answer; those that are found. */
  askAll(path: string, keys: readonly string[]): Map<string, string> {
    const { stdout, stderr, error } = spawnSync("postmap", ["-c", this.#folder, "-q", "-", `ldap:${path}`], {
      encoding: "utf8",
      input: keys.map((key) => `${key}\n`).join(""),
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error !== undefined) throw error;
    if (stderr.includes("fatal:")) throw new Error(stderr);
    // A key may hold a tab itself.
    const found = new Map<string, string>();
    for (const line of stdout.split("\n").filter((text) => text !== "")) {
      const fitting = keys.filter((key) => line.startsWith(`${key}\t`));
      const key = fitting.reduce((longest, other) => (other.length > longest.length ? other : longest), "");
      found.set(key, line.slice(key.length + 1));
    }
    return found;
  }
}

/**
 * Asks both for each key and gives the keys on which they differ, with both answers. What we call unavailable, postmap is
 * asked alone, since it ends at the first such key.
 */
export async function compare(
  table: LookupTable,
  postmap: Postmap,
  path: string,
  keys: readonly string[],
): Promise<Comparison> {
  const ours = new Map<string, string | undefined>();
  await Promise.all(keys.map(async (key) => ours.set(key, await ask(table, key))));
  const answered = keys.filter((key) => ours.get(key) !== unavailable);
  const theirs: Map<string, string | undefined> = postmap.askAll(path, answered);
  const failed = keys.filter((key) => ours.get(key) === unavailable);
  await Promise.all(failed.map(async (key) => theirs.set(key, await postmap.ask(path, key))));
  const differences = keys
    .filter((key) => ours.get(key) !== theirs.get(key))
    .map((key) => ({ key, ours: ours.get(key), postmap: theirs.get(key) }));
  const found = answered.filter((key) => ours.get(key) !== undefined).length;
  return { differences, found, missing: answered.length - found, failed: failed.length };
}

export interface Comparison {
  readonly differences: readonly { key: string; ours: string | undefined; postmap: string | undefined }[];
  readonly found: number;
  readonly missing: number;
  readonly failed: number;
}
