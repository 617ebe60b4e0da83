/** Root reads and executes no file that somebody else may write: who writes it would be root. */
import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

export interface TrustScope {
  /** The user that runs us; only root (0) has anything to lose. */
  readonly uid: number | undefined;
}

export const currentUser = (): TrustScope => ({ uid: process.getuid?.() });

/** What is wrong with a file or its folder, as the rest of a sentence; `undefined` when root may use it or we are not root. */
export function findDistrust(file: string, { uid }: TrustScope = currentUser()): string | undefined {
  if (uid !== 0) return undefined;
  const real = realpathSync(file);
  // A link is only as good as the folder it stands in.
  const paths = new Set([real, dirname(real), dirname(file)]);
  for (const path of paths) {
    const { uid: owner, mode } = statSync(path);
    const what = path === real ? "it" : `its folder ${path}`;
    const remedy = "root uses only what root alone may write";
    if (owner !== 0) return `${what} belongs to user ${owner}; ${remedy} (chown root ${path})`;
    if ((mode & 0o022) !== 0) return `${what} may be written by others; ${remedy} (chmod go-w ${path})`;
  }
  return undefined;
}
