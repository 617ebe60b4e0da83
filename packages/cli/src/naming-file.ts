/** A mistake that shows only when the config is put to work names the file like those found when it was read. */
import { ConfigError, ConfigProblems } from "@postern/core";

export async function namingFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ConfigError) || error instanceof ConfigProblems || error.message.includes(file)) throw error;
    throw new ConfigProblems([{ file, path: pathOf(error.message), message: error.message }], { cause: error });
  }
}

/** `policy.rcpt[2]` of "policy.rcpt[2]: no such word". */
function pathOf(message: string): string {
  return /^([a-zA-Z][\w.[\]"-]*): /.exec(message)?.[1] ?? "";
}
