/** Where the config is: what was named, else the current folder, else /etc/postern. No parent folders, no configs of configs. */
import { accessSync, constants, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigError } from "../errors.ts";

/** In this order within one folder. */
export const configNames: readonly string[] = Object.freeze(
  ["ts", "js", "json", "yaml"].map((extension) => `postern.config.${extension}`),
);
export const systemFolder = "/etc/postern";

export interface FindOptions {
  /** `--config FILE`. */
  readonly file?: string | undefined;
  /** The option that named it. "--config". */
  readonly by?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly systemFolder?: string;
}

/** The absolute path; `undefined` when there is none. Throws `ConfigError` when a named one is not there, or two stand side by side. */
export function findConfig(options: FindOptions = {}): string | undefined {
  const { env = process.env, cwd = process.cwd() } = options;
  if (options.file !== undefined) return named(resolve(cwd, options.file), options.by ?? "--config");
  const fromEnvironment = env["POSTERN_CONFIG"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") {
    return named(resolve(cwd, fromEnvironment), "$POSTERN_CONFIG");
  }
  return inFolder(cwd) ?? inFolder(options.systemFolder ?? systemFolder);
}

function named(path: string, by: string): string {
  try {
    if (!statSync(path).isFile()) throw new ConfigError(`${path}, named by ${by}, is no file`);
    accessSync(path, constants.R_OK);
    return path;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(
      `${path}, named by ${by}, ${code === "ENOENT" ? "does not exist" : `cannot be read (${code})`}`,
      {
        cause: error,
      },
    );
  }
}

function inFolder(folder: string): string | undefined {
  const found = configNames
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  const [first, second] = found;
  if (second !== undefined) {
    throw new ConfigError(`${first} and ${second} stand side by side; remove one, or choose with --config`);
  }
  return first;
}
