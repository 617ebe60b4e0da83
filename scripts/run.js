// Runs a tool of the workspace with Node 24: node scripts/run.js TOOL ARGS…
import { root, withWorkspace } from "./lib/workspace.js";
import { toolPath } from "./lib/tool.js";

const [tool, ...args] = process.argv.slice(2);
await withWorkspace(({ run }) => run([toolPath(root, tool), ...args]));
