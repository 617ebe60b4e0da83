// npm test: every test, unit first. `unit` or `e2e` as first argument runs only those, `long` runs all with full counts;
// further arguments are file filters. The last line on stdout is the sum over everything.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installTestPackages } from "./lib/debian.js";
import { toolPath } from "./lib/tool.js";
import { root, withWorkspace } from "./lib/workspace.js";

const [first = "", ...others] = process.argv.slice(2);
const scope = ["unit", "e2e", "long"].includes(first) ? first : "all";
const filters = scope === "all" ? process.argv.slice(2) : others;
const projects = scope === "unit" || scope === "e2e" ? [scope] : ["unit", "e2e"];

await withWorkspace(async ({ run }) => {
  if (projects.includes("e2e")) await installTestPackages();
  const folder = mkdtempSync(join(tmpdir(), "postern-tally-"));
  const sum = { passed: 0, failed: [], skipped: [] };
  try {
    for (const project of projects) {
      const status = await runProject(run, project, folder);
      const tally = readTally(join(folder, project));
      sum.passed += tally?.passed ?? 0;
      sum.failed.push(...(tally?.failed ?? []));
      sum.skipped.push(...(tally?.skipped ?? []));
      // An end that no test accounts for must not pass for success.
      if (tally === undefined || (status !== 0 && tally.failed.length === 0))
        sum.failed.push(`${project}: the run ended with status ${status}`);
      if (status > 128) break;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  printSum(sum);
  return sum.failed.length === 0 ? 0 : 1;
});

function runProject(run, project, folder) {
  const reporters = ["--reporter=default", `--reporter=${join(root, "scripts/lib/tally-reporter.js")}`];
  return run([toolPath(root, "vitest"), "run", "--project", project, "--passWithNoTests", ...reporters, ...filters], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      POSTERN_TALLY: join(folder, project),
      // Hundreds of commands are started: compiled once, each starts in little more than half the time.
      NODE_COMPILE_CACHE: join(folder, "compiled"),
      ...(scope === "long" ? { POSTERN_TEST_LONG: "1" } : {}),
    },
  });
}

function readTally(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function printSum({ passed, failed, skipped }) {
  const lines = [];
  if (skipped.length > 0)
    lines.push("Skipped:", ...skipped.map(({ name, reason }) => (reason ? `  ${name}: ${reason}` : `  ${name}`)));
  if (failed.length > 0) lines.push("Failed:", ...failed.map((name) => `  ${name}`));
  lines.push(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
  process.stdout.write(`${lines.join("\n")}\n`);
}
