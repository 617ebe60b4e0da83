/** What identifies an entry in the table: keys are longer than an index takes, so it is a digest of space and key. */
import { hash } from "node:crypto";

/** For the layout and the lease of the sweep. No plugin's space is without a name. */
export const ownSpace = "";

export function idOf(space: string, key: string): Buffer {
  // The length says where the one ends and the other begins.
  return hash("sha256", `${space.length}:${space}${key}`, "buffer");
}
