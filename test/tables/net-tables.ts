// The tables of plugin-maps-net as the registry opens them, beside the real postmap asking the same servers.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createGuard, createTableRegistry, systemClock, TableUnavailable } from "@postern/core";
import type { LookupTable, OpenTable, TableRegistry } from "@postern/core";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import plugin from "@postern/plugin-maps-net";

/** What is not found is `undefined`; what cannot be asked is this word. */
export const unavailable = "(unavailable)";

export interface NetTables extends AsyncDisposable {
  readonly warnings: string[];
  open: TableRegistry["open"];
}

/** With breaker, deadline and single flight, as a gateway has them. */
export function createNetTables(directory: string): NetTables {
  const warnings: string[] = [];
  const registry = createTableRegistry({
    directory,
    clock: systemClock,
    guard: createGuard(systemClock, () => undefined),
    warn: (message) => warnings.push(message),
  });
  const register = (type: string, open: OpenTable, description: string) =>
    registry.register({ type, open, description }, { name: "maps-net", onError: "defer", deadlineMs: 90_000 });
  // The plugin asks nothing else of its gateway.
  void plugin.setup({ tables: { register } } as never, {});
  return {
    warnings,
    open: (spec, purpose) => registry.open(spec, purpose),
    [Symbol.asyncDispose]: () => registry.close(),
  };
}

export async function ask(table: LookupTable, key: string): Promise<string | undefined> {
  try {
    return await table.lookup(key);
  } catch (error) {
    if (error instanceof TableUnavailable) return unavailable;
    throw error;
  }
}

/** What `postmap -q -` prints for what was found: key, tab, value. */
export async function printAnswers(table: LookupTable, keys: readonly string[]): Promise<string> {
  let printed = "";
  for (const key of keys) {
    const value = await ask(table, key);
    if (value !== undefined) printed += `${key}\t${value}\n`;
  }
  return printed;
}

/** postmap with a main.cf of its own in `folder`. The server may be this process, so nothing here blocks. */
export class Postmap {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    writeFileSync(join(folder, "main.cf"), "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
  }

  async ask(spec: string, key: string): Promise<string | undefined> {
    const { stdout, stderr, status } = await this.#run(["-q", key, spec], "");
    if (status === 0) return stdout.replace(/\n$/, "");
    return stderr === "" ? undefined : unavailable;
  }

  /** Keys without line ends, each of which must have an answer. */
  async print(spec: string, keys: readonly string[]): Promise<string> {
    const { stdout, stderr } = await this.#run(["-q", "-", spec], keys.map((key) => `${key}\n`).join(""));
    if (stderr !== "") throw new Error(stderr);
    return stdout;
  }

  #run(args: readonly string[], input: string): Promise<{ stdout: string; stderr: string; status: number | null }> {
    return new Promise((resolve, reject) => {
      const child = spawn("postmap", ["-c", this.#folder, ...args], { stdio: "pipe" });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.once("error", reject);
      child.once("close", (status) => resolve({ stdout, stderr, status }));
      child.stdin.end(input);
    });
  }
}

/** Keys as strangers write them: blanks, control characters, percent signs, UTF-8, long ones. Without NUL and line feed. */
export function randomKeys(random: () => number, count: number): string[] {
  const pieces = [
    "a",
    "B",
    "user",
    "@",
    ".",
    "example.test",
    " ",
    "\t",
    "\r",
    "\x01",
    "\x1b",
    "\x7f",
    "%",
    "%41",
    "%0a",
    ":",
    ",",
  ].concat(["ä", "Ł", "é", "\u{1f600}", "\u00a0", "日本", "get x", "0", '"', "\\", "x".repeat(60)]);
  const pick = (below: number) => Math.floor(random() * below);
  const keys = Array.from({ length: count }, () =>
    Array.from({ length: 1 + pick(6) }, () => pieces[pick(pieces.length)]).join(""),
  );
  return [...new Set(keys)];
}
