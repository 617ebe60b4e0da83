/** Whether the folders that a start makes could be made and written, and whether somebody else could write them too. Looks only. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { ConfigProblems, type Problem } from "./problem.ts";
import type { ResolvedConfig } from "./resolve.ts";
import { currentUser, type TrustScope } from "./trust.ts";

type Folders = Pick<ResolvedConfig, "file" | "queue" | "quarantine" | "state" | "control">;

/** Throws `ConfigProblems` with each folder that a start would fail on. */
export function checkFolders(config: Folders): void {
  inspect(config, (folder) => ownerFault(folder, currentUser()) ?? faultOf(folder));
}

/**
 * Throws `ConfigProblems` with each folder that is there and in which somebody else could put a file, or a link, in the way of
 * ours: mail would be his to read or to forge, and as root any file his to remove.
 */
export function checkFolderOwners(config: Folders, scope: TrustScope = currentUser()): void {
  inspect(config, (folder) => ownerFault(folder, scope));
}

/** The same for the state store alone. */
export function checkStateOwner({ file, state }: Pick<ResolvedConfig, "file" | "state">): void {
  const fault = state.store === "sqlite" ? ownerFault(state.directory, currentUser()) : undefined;
  if (fault === undefined) return;
  const message = `state.directory: ${state.directory} cannot be used: ${fault}`;
  throw new ConfigProblems([{ file, path: "state.directory", message }]);
}

function inspect(
  { file, queue, quarantine, state, control }: Folders,
  faultOf: (folder: string) => string | undefined,
): void {
  const folders = {
    "queue.directory": queue.directory,
    "quarantine.directory": quarantine.directory,
    ...(state.store === "sqlite" ? { "state.directory": state.directory } : {}),
    "control.directory": control.directory,
  };
  const problems = Object.entries(folders).flatMap(([path, folder]): Problem[] => {
    const fault = faultOf(folder);
    return fault === undefined ? [] : [{ file, path, message: `${path}: ${folder} cannot be used: ${fault}` }];
  });
  if (problems.length > 0) throw new ConfigProblems(problems);
}

function ownerFault(folder: string, { uid }: TrustScope): string | undefined {
  const found = uid === undefined ? undefined : statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.uid !== uid && found.uid !== 0) return `it belongs to user ${found.uid}, not to us`;
  return uid === 0 && (found.mode & 0o022) !== 0 ? `it may be written by others (chmod go-w ${folder})` : undefined;
}

function faultOf(folder: string): string | undefined {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found !== undefined) return found.isDirectory() ? writeFault(folder, "it") : "it is no folder";
  const parent = dirname(folder);
  const above = statSync(parent, { throwIfNoEntry: false });
  if (above === undefined) return `its parent ${parent} does not exist`;
  return above.isDirectory() ? writeFault(parent, `its parent ${parent}`) : `its parent ${parent} is no folder`;
}

function writeFault(folder: string, what: string): string | undefined {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return `${what} is not writable (${(error as NodeJS.ErrnoException).code})`;
  }
}
