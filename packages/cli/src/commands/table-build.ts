/** `postern table build`: the files of tables made from their text sources, each in one step. */
import { PosternError, type BuiltTable } from "@postern/core";
import { loadIfFound, type ConfigOptions } from "../config-source.ts";
import { exitCodes } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { print, type Output } from "../output.ts";
import { openTableDesk } from "../table-desk.ts";

/** Relative names are from the current folder. Throws `ConfigError`, and 73 when the system refuses; what was made before stays. */
export async function buildTables(
  specs: readonly string[],
  options: ConfigOptions,
  cwd: string,
  output: Output,
): Promise<void> {
  const warn = (text: string): void => output.warn(`postern: warning: ${text}\n`);
  const config = (await loadIfFound(options, cwd))?.config;
  const desk = openTableDesk({ directory: cwd, config, warn });
  const built: (BuiltTable & { readonly table: string })[] = [];
  try {
    for (const table of specs) {
      const progress = (entries: number): void => {
        if (output.isTerminal === true && options.json !== true) output.warn(`${table}: ${entries} entries\r`);
      };
      built.push({ table, ...(await making(table, () => desk.build(table, { warn, progress }))) });
    }
  } finally {
    await desk.close();
  }
  print(output, options.json, built, () => built.map(formatBuilt).join(""));
}

function formatBuilt({ table, file, entries }: BuiltTable & { readonly table: string }): string {
  if (file === undefined) return `${table} is read from its text as it is; nothing needs to be built\n`;
  return `${file}${entries === undefined ? "" : `: ${entries} entries`}\n`;
}

async function making<T>(table: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw new CommandError(
      `${table} cannot be built: ${(error as Error).message}`,
      exitCodes.cannotCreate,
      "BUILD_FAILED",
    );
  }
}
