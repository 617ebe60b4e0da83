// Folders for daemons that become a user of their own.
import { execFileSync } from "node:child_process";

/** The folder and all in it belongs to `user` then; root only. */
export function giveTo(user: string, folder: string): void {
  execFileSync("chown", ["-R", user, folder]);
}
