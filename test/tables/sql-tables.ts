// Tables of @postern/plugin-maps-sql for the tests, asked through the plugin itself and by the real postmap.
import { spawnSync } from "node:child_process";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import plugin from "@postern/plugin-maps-sql";
import { createGuard, createTableRegistry, foldKey, systemClock, TableUnavailable } from "@postern/core";
import type { LookupTable, OpenTable, TableParameters, TableScope } from "@postern/core";

/** What is not found is `undefined`; what cannot be asked is one of these words. */
export const unavailable = "(unavailable)";
export const unavailableForThisKey = "(unavailable for this key)";

/** For whoever does not say how long an answer may take: the machine may stand still. */
const amply = "60s";

/** A set of tables that share their connections, as the tables of one gateway do. */
export interface SqlTables extends AsyncDisposable {
  open(type: "pgsql" | "sqlite", parameters: TableParameters, name?: string): Promise<LookupTable>;
  readonly warnings: string[];
}

export function openSqlTables(directory: string): SqlTables {
  const openers = new Map<string, OpenTable>();
  const opened: LookupTable[] = [];
  const warnings: string[] = [];
  // The plugin asks nothing else of its gateway.
  void plugin.setup({ tables: { register: (type: string, open: OpenTable) => openers.set(type, open) } } as never, {});
  const warn = (message: string) => void warnings.push(message);
  const guard = createGuard(systemClock, () => undefined);
  // Tables inside tables: those of core.
  const inner = createTableRegistry({ directory, clock: systemClock, guard, warn });
  const scope: TableScope = {
    directory,
    clock: systemClock,
    purpose: {},
    warn,
    open: (spec) => inner.open(spec),
  };
  return {
    warnings,
    async open(type, parameters, name = "") {
      const open = openers.get(type);
      if (open === undefined) throw new Error(`the plugin registers no type ${type}`);
      const table = await open(name, scope, name === "" ? { timeout: amply, ...parameters } : parameters);
      opened.push(table);
      return table;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...opened, inner].map((table) => table.close()));
    },
  };
}

/** The key folded as the registry folds it for tables of fixed keys. */
export async function ask(table: LookupTable, key: string): Promise<string | undefined> {
  try {
    return await table.lookup(foldKey(key));
  } catch (error) {
    if (error instanceof TableUnavailable) return error.onlyThisKey ? unavailableForThisKey : unavailable;
    throw error;
  }
}

/** A .cf file as an operator writes it. */
export function writeCf(folder: string, name: string, parameters: Readonly<Record<string, string | number>>): string {
  const path = join(folder, name);
  const lines = Object.entries({ timeout: amply, ...parameters }).map(([key, value]) => `${key} = ${value}\n`);
  writeFileSync(path, `# a comment\n\n${lines.join("# another\n")}`);
  // Postfix waits until a file is no longer hot.
  utimesSync(path, 1e9, 1e9);
  return path;
}

/** Postmap with a main.cf of its own. */
export class Postmap {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    utimesSync(join(folder, "main.cf"), 1e9, 1e9);
  }

  /** One key; `unavailable` where postmap says that the query failed. */
  ask(spec: string, key: string): string | undefined {
    const { stdout, stderr, status } = this.#run(spec, key, "");
    if (status === 0) return stdout.replace(/\n$/, "");
    return /query error|fatal:/.test(stderr) ? unavailable : undefined;
  }

  /** Many keys without line ends, each of which must have an answer; those that are found. */
  askAll(spec: string, keys: readonly string[]): Map<string, string> {
    const { stdout, stderr } = this.#run(spec, "-", keys.map((key) => `${key}\n`).join(""));
    if (/query error|fatal:/.test(stderr)) throw new Error(`${spec}: ${stderr}`);
    const lines = stdout.split("\n").filter((line) => line !== "");
    return new Map(
      lines.map((line): [string, string] => [line.slice(0, line.indexOf("\t")), line.slice(line.indexOf("\t") + 1)]),
    );
  }

  #run(spec: string, query: string, input: string) {
    return spawnSync("postmap", ["-c", this.#folder, "-q", query, spec], {
      encoding: "utf8",
      input,
      maxBuffer: 64 * 1024 * 1024,
    });
  }
}

/** What a stranger may put into an address to get out of a string of SQL. No tab, which parts key and value in what postmap prints. */
export const sqlPieces = [
  ...Array.from("abcxyABC019.-_=+"),
  ...Array.from(`'"\\\`;()*%_$?:@#,/{}[]|&`),
  "''", "\\'", "' OR '1'='1", "'; DROP TABLE aliases; --", "%s", "%%", "/*", "*/", "--", "$1", "?1", "\\x27", "\\047", "||", "$$", "E'", "@a.test", "@b.example.test", "union select",
]; // prettier-ignore

export const oddDomains = ["a.test", "b.example.test", "c.d.e.test", "x+y.test", "o'brien.test", "d\\e.test", ".dot.test", "a..b.test", "end.test.", "single", "%d.test", "a\"b.test"]; // prettier-ignore

/** Keys of all kinds. Blanks at the ends would not come through postmap's standard input. */
export function makeKeys(count: number, random: () => number): string[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const pick = (items: readonly string[]): string => items[below(items.length)] ?? "";
  const local = () => Array.from({ length: below(5) }, () => pick(sqlPieces)).join("");
  const forms = [() => `${local()}@${pick(oddDomains)}`, () => `user${below(60)}@${pick(oddDomains)}`, local, () => `@${pick(oddDomains)}`, () => pick(oddDomains), () => `${local()}@`, () => `user${below(60)}`]; // prettier-ignore
  const keys = Array.from(
    { length: count },
    () => forms[Math.min(below(forms.length + 3), forms.length - 1)]?.().trim() ?? "",
  );
  return [...new Set(keys)].filter((key) => key !== "");
}
