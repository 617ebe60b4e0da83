/** A mistake that shows only when the config is put to work names the file like those found when it was read. */
import { ConfigError, ConfigProblems, PluginError } from "@postern/core";

export async function namingFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isMistake(error) || error.message.includes(file)) throw error;
    throw new ConfigProblems([{ file, path: pathOf(error.message), message: error.message }], { cause: error });
  }
}

/** A plugin's own one too: what it was told stands in the same file. */
function isMistake(error: unknown): error is ConfigError | PluginError {
  if (error instanceof PluginError) return error.cause instanceof ConfigError;
  return error instanceof ConfigError && !(error instanceof ConfigProblems);
}

/** `policy.rcpt[2]` of "policy.rcpt[2]: no such word". */
function pathOf(message: string): string {
  return /^([a-zA-Z][\w.[\]"-]*): /.exec(message)?.[1] ?? "";
}
