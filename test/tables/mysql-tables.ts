// Tables of type mysql for the tests, asked by us and by the real postmap.
import { execFile } from "node:child_process";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
// oxlint-disable-next-line import/default -- the linter does not know the export condition of the sources
import plugin from "@postern/plugin-maps-mysql";
import { createGuard, createTableRegistry, systemClock, TableUnavailable } from "@postern/core";
import type { LookupTable, OpenTable, TableRegistry, TableSpec } from "@postern/core";

/** What is not found is `undefined`; what cannot be asked is this word. */
export const unavailable = "(unavailable)";

export type Parameters = Readonly<Record<string, string>>;

export interface MysqlTables extends AsyncDisposable {
  open(spec: TableSpec): Promise<LookupTable>;
  readonly warnings: string[];
}

/** The plugin in a registry of its own, as a generation has it. */
export function mysqlTables(directory: string): MysqlTables {
  const warnings: string[] = [];
  const registry: TableRegistry = createTableRegistry({
    directory,
    clock: systemClock,
    guard: createGuard(systemClock, () => {}),
    warn: (message) => warnings.push(message),
  });
  const owner = Object.freeze({ name: "maps-mysql", onError: "defer", deadlineMs: 90_000 } as const);
  const register = (type: string, open: OpenTable, description: string) =>
    registry.register({ type, open, description }, owner);
  // The plugin asks nothing else of its gateway.
  void plugin.setup({ tables: { register } } as never, {});
  return { open: (spec) => registry.open(spec), warnings, [Symbol.asyncDispose]: () => registry.close() };
}

/** The answer, `undefined` or `unavailable`; anything else that is thrown is thrown on. */
export async function ask(table: LookupTable, key: string): Promise<string | undefined> {
  try {
    return await table.lookup(key);
  } catch (error) {
    if (error instanceof TableUnavailable) return unavailable;
    throw error;
  }
}

export async function whyUnavailable(table: LookupTable, key: string): Promise<TableUnavailable> {
  try {
    await table.lookup(key);
  } catch (error) {
    if (error instanceof TableUnavailable) return error;
    throw error;
  }
  throw new Error(`${key} has an answer`);
}

export function writeCf(folder: string, name: string, parameters: Parameters): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    Object.entries(parameters)
      .map(([key, value]) => `${key} = ${value}\n`)
      .join(""),
  );
  // Postfix waits until a file is no longer hot.
  utimesSync(path, 1e9, 1e9);
  return path;
}

/** Postmap with a main.cf of its own. */
export class Postmap {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(folder, "postfix");
    mkdirSync(this.#folder, { recursive: true });
    const path = join(this.#folder, "main.cf");
    writeFileSync(path, "compatibility_level = 3.6\nsmtputf8_enable = yes\n");
    utimesSync(path, 1e9, 1e9);
  }

  /** Keys without line ends. Where one cannot be asked postmap ends, after a second's sleep; then each is asked alone. */
  async ask(path: string, keys: readonly string[]): Promise<(string | undefined)[]> {
    if (keys.length > 1) {
      const { stdout, failed } = await this.#run(path, "-", keys.map((key) => `${key}\n`).join(""));
      if (!failed) return readAnswers(stdout, keys);
    }
    const answers: (string | undefined)[] = [];
    let at = 0;
    const worker = async () => {
      for (let mine = at++; mine < keys.length; mine = at++) {
        const { stdout, status, failed } = await this.#run(path, keys[mine] ?? "", "");
        answers[mine] = failed ? unavailable : status === 0 ? stdout.replace(/\n$/, "") : undefined;
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    return answers;
  }

  #run(path: string, key: string, input: string) {
    return new Promise<{ stdout: string; status: number; failed: boolean }>((resolve) => {
      const args = ["-c", this.#folder, "-q", key, `mysql:${path}`];
      const child = execFile("postmap", args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        resolve({ stdout, status: error === null ? 0 : 1, failed: /fatal|error:/.test(stderr) });
      });
      // It may have ended before it read all.
      child.stdin?.on("error", () => {});
      child.stdin?.end(input);
    });
  }
}

function readAnswers(stdout: string, keys: readonly string[]): (string | undefined)[] {
  const lines = stdout.split("\n");
  let at = 0;
  return keys.map((key) => {
    const line = lines[at] ?? "";
    if (!line.startsWith(`${key}\t`)) return undefined;
    at += 1;
    return line.slice(key.length + 1);
  });
}
