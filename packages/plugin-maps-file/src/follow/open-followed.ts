/** A database file by its table's name, as Postfix finds it: the name with a suffix. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError, type TableScope } from "@postern/core";
import type { Database } from "./database.ts";
import { FollowedFile } from "./followed-file.ts";

/** Postfix complains of a source that is newer than its database only after so long: somebody may be at it. */
const staleMs = 100_000;

/** Throws `ConfigError` when the file cannot be the table. Warns of a source that was edited and not built. */
export async function openFollowed<T extends Database>(
  type: string,
  name: string,
  scope: TableScope,
  suffix: string,
  load: (path: string) => Promise<T>,
): Promise<{ file: FollowedFile<T>; path: string }> {
  if (name === "") throw new ConfigError(`table "${type}:" needs a file name`);
  const source = resolve(scope.directory, name);
  const path = source + suffix;
  const label = `${type}:${name}`;
  const file = await FollowedFile.open<T>({
    path,
    label,
    scope,
    load: () => load(path),
    settles: false,
    free: (old) => old.close(),
  });
  if (await isStale(source, path, scope.clock.now())) {
    scope.warn(`table ${label}: ${path} is older than its source ${source}`);
  }
  return { file, path };
}

async function isStale(source: string, path: string, now: number): Promise<boolean> {
  try {
    const [text, database] = await Promise.all([stat(source), stat(path)]);
    return text.mtimeMs > database.mtimeMs && database.mtimeMs < now - staleMs;
  } catch {
    return false;
  }
}
