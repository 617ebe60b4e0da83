// Which programs of other people are here, and the reasons to skip when they are not. A test never fails for want of a
// program, and never passes silently without it.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Daemons stand where the PATH of an ordinary user does not look. */
const MORE_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The full path of a program, `undefined` when it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), ...MORE_FOLDERS]) {
    if (folder === "") continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** The full path of a program; throws when it is not installed. */
export function programPath(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

/** Why a test that needs this program is to be skipped: `undefined` when it is here. `root` means the right, not a program. */
export function requireProgram(name: string): string | undefined {
  if (name === "root") return process.getuid?.() === 0 ? undefined : "needs root";
  return findProgram(name) === undefined ? `needs ${name}, which is not installed` : undefined;
}

/** The first reason to skip among several needs. */
export function requirePrograms(...names: readonly string[]): string | undefined {
  return names.map(requireProgram).find((reason) => reason !== undefined);
}
