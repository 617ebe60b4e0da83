// The JavaScript file behind a command of node_modules/.bin.
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { ShimError } from "../../packages/cli/bin/node.js";

export function toolPath(root, name) {
  try {
    return realpathSync(join(root, "node_modules", ".bin", name ?? ""));
  } catch {
    throw new ShimError(`there is no tool ${name} in node_modules/.bin`, 64);
  }
}
