/** Which config a command works on. */
import { findConfig, loadConfig, type LoadedConfig } from "@postern/core";
import { exitCodes } from "./exit-codes.ts";
import { CommandError } from "./failure.ts";

export interface ConfigOptions {
  readonly config?: string;
  readonly json?: boolean;
  /** The option that named it, when it was another than --config. */
  readonly by?: string;
}

/** `undefined` when there is none. Throws `ConfigError`. */
export async function loadIfFound(options: ConfigOptions, cwd: string): Promise<LoadedConfig | undefined> {
  const file = findConfig({ file: options.config, by: options.by, cwd });
  return file === undefined ? undefined : loadConfig(file);
}

export async function loadRequired(options: ConfigOptions, cwd: string): Promise<LoadedConfig> {
  const loaded = await loadIfFound(options, cwd);
  if (loaded !== undefined) return loaded;
  throw new CommandError(
    "there is no postern.config.ts (or .js, .json, .yaml) in this folder or in /etc/postern; postern init writes one",
    exitCodes.config,
    "CONFIG_MISSING",
  );
}
