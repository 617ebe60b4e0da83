/** What identifies an entry in the table: keys are longer than an index takes, so it is a digest of space and key. */
import { hash } from "node:crypto";

/** For the layout and the lease of the sweep. No plugin's space is without a name. */
export const ownSpace = "";

export function idOf(space: string, key: string): Buffer {
  // The length says where the one ends and the other begins.
  return hash("sha256", `${space.length}:${space}${key}`, "buffer");
}

/** Of all ids, which are as good as random, one in `parts` is this one or below it. */
export function lastIdOfPart(parts: number): Buffer {
  const last = Buffer.alloc(32, 0xff);
  last.writeUInt32BE(Math.floor(2 ** 32 / parts) - 1);
  return last;
}
