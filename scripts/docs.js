// Writes the reference pages and the option tables of the plugins' READMEs from the code; with --check it only says which
// of them are out of step. Plain JavaScript for Node 24.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const program = join(root, "packages/cli/src/reference.ts");
const { status, stdout, stderr } = spawnSync(
  process.execPath,
  ["--conditions=@postern/source", program, join(root, "packages")],
  { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
);
if (status !== 0) {
  process.stderr.write(stderr);
  process.exit(status ?? 1);
}

const check = process.argv.includes("--check");
let stale = 0;
for (const [name, wanted] of Object.entries(JSON.parse(stdout))) {
  const path = join(root, name);
  if (read(path) === wanted) continue;
  stale++;
  if (check) process.stderr.write(`${name} is out of step with the code; node scripts/docs.js writes it anew\n`);
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, wanted);
    process.stdout.write(`wrote ${name}\n`);
  }
}
process.exitCode = check && stale > 0 ? 1 : 0;

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
