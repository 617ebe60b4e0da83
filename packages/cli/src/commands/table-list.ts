/** `postern table list`: every table type that can be had, and who brings it. */
import { findTablePackages, logText, type ResolvedConfig } from "@postern/core";
import { loadIfFound, type ConfigOptions } from "../config-source.ts";
import { formatColumns, print, type Output } from "../output.ts";
import { openTableDesk, type TableDesk } from "../table-desk.ts";

/** How a type comes into a gateway: it is there, the config names its plugin, or its package is loaded at the first use. */
export type Origin = "core" | "plugin" | "package";

export interface ListedType {
  readonly type: string;
  readonly description: string;
  readonly from: Origin;
  /** The plugin's name in the config, or the package's; "core". */
  readonly provider: string;
  /** The package is there and cannot be used: why. */
  readonly error?: string;
}

export async function listTables(options: ConfigOptions, cwd: string, output: Output): Promise<void> {
  const config = (await loadIfFound(options, cwd))?.config;
  const types = await listTableTypes(cwd, config, (text) => output.warn(`postern: warning: ${text}\n`));
  print(output, options.json, types, () =>
    formatColumns([
      ["TYPE", "FROM", "MEANING"],
      ...types.map(({ type, provider, description, error }) => [
        type,
        provider,
        error === undefined ? description : logText(error),
      ]),
    ]),
  );
}

/** Core's in their order, then those of the config's plugins, then those of packages that are installed. */
export async function listTableTypes(
  cwd: string,
  config: ResolvedConfig | undefined,
  warn: (message: string) => void,
): Promise<readonly ListedType[]> {
  const desk = openTableDesk({ directory: cwd, config, warn });
  try {
    await desk.provide();
    const present: ListedType[] = desk.types().map(({ type, description, owner }) => ({
      type,
      description,
      from: owner === "core" ? "core" : "plugin",
      provider: owner,
    }));
    const taken = new Set(present.map(({ type }) => type));
    const installed: ListedType[] = [];
    for (const { name, types } of findTablePackages(desk.folders)) {
      for (const type of types) {
        if (taken.has(type)) continue;
        taken.add(type);
        installed.push({ type, from: "package", provider: name, ...(await described(desk, type)) });
      }
    }
    return [...present, ...installed];
  } finally {
    await desk.close();
  }
}

async function described(desk: TableDesk, type: string): Promise<Pick<ListedType, "description" | "error">> {
  try {
    await desk.provide(type);
  } catch (error) {
    return { description: "", error: (error as Error).message };
  }
  const listed = desk.types().find((one) => one.type === type);
  if (listed === undefined) return { description: "", error: "its package does not register it" };
  return { description: listed.description };
}
