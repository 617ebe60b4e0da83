// npm run check: everything that can be said about the code without running the gateway, one line a step. Names of steps
// as arguments run only those.
import { join } from "node:path";
import { runQuietly } from "../packages/cli/bin/child.js";
import { ShimError } from "../packages/cli/bin/node.js";
import { toolPath } from "./lib/tool.js";
import { root, withWorkspace } from "./lib/workspace.js";

const steps = {
  types: () => [toolPath(root, "tsc"), "-p", "tsconfig.json"],
  lint: () => [toolPath(root, "oxlint"), "--type-aware", "--deny-warnings"],
  format: () => [toolPath(root, "prettier"), "--check", "--log-level=warn", "."],
  layering: () => [toolPath(root, "vitest"), "run", "--project", "unit", "packages/core/src/layering.test.ts"],
  wasm: () => [join(root, "scripts/wasm.js"), "--check"],
  docs: () => ["--conditions=@postern/source", join(root, "scripts/docs.js"), "--check"],
};

await withWorkspace(async ({ node, env }) => {
  const wanted = process.argv.slice(2);
  const unknown = wanted.find((name) => !(name in steps));
  if (unknown !== undefined)
    throw new ShimError(`no check is called ${unknown}; there are ${Object.keys(steps).join(", ")}`, 64);
  let failed = 0;
  for (const name of wanted.length > 0 ? wanted : Object.keys(steps)) {
    const started = performance.now();
    const { status, stdout, stderr } = await runQuietly(node, steps[name](), { cwd: root, env });
    if (status > 128) return status;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${name.padEnd(9)} ${status === 0 ? "ok    " : "failed"} ${seconds} s\n`);
    if (status === 0) continue;
    failed++;
    process.stdout.write(`${stdout}${stderr}\n`);
  }
  return failed === 0 ? 0 : 1;
});
