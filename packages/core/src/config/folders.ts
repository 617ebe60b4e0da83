/** Whether the folders that a start makes could be made and written. Looks only; for `check`. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { ConfigProblems, type Problem } from "./problem.ts";
import type { ResolvedConfig } from "./resolve.ts";

/** Throws `ConfigProblems` with each folder that a start would fail on. */
export function checkFolders({ file, queue, state, control }: ResolvedConfig): void {
  const folders = {
    "queue.directory": queue.directory,
    ...(state.store === "sqlite" ? { "state.directory": state.directory } : {}),
    "control.directory": control.directory,
  };
  const problems = Object.entries(folders).flatMap(([path, folder]): Problem[] => {
    const fault = faultOf(folder);
    return fault === undefined ? [] : [{ file, path, message: `${path}: ${folder} cannot be used: ${fault}` }];
  });
  if (problems.length > 0) throw new ConfigProblems(problems);
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
