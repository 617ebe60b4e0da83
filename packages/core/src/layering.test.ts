// Who may import whom. Within core a folder imports only from folders above it; other packages know core by its name
// alone; smtp-server and nodemailer each stay behind one adapter.
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** From the top down; what is not here has no place yet and fails. */
const layers = [
  "errors.ts",
  "model",
  "address",
  "message",
  "guard",
  "hooks",
  "config",
  "dns",
  "tables",
  "state",
  "rewrite",
  "routing",
  "policy",
  "scanning",
  "authentication",
  "queue",
  "quarantine",
  "delivery",
  "bounce",
  "plugin",
  "smtp",
  "control",
  "generation-contract.ts",
  "generation.ts",
  "runtime-contract.ts",
  "config-check.ts",
  "explain",
  "conversation",
  "runtime.ts",
  "index.ts",
];

/** Packages with a fault of their own to contain, and the only folder that may import them. */
const adapters: Readonly<Record<string, string>> = {
  "smtp-server": "packages/core/src/smtp/",
  nodemailer: "packages/plugin-transport-smtp/src/",
};

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** For the tests of all packages: counts and seeds of what is random, and what a process holds. */
const forAllTests: readonly string[] = ["test/sampling.ts", "test/held-memory.ts", "test/undisturbed.ts"];
const statement = /(?:^|[;{}\s])(?:import|export)\s*(?:type\s)?(?:[^"'`;()]*?\sfrom\s*|\(\s*)?["']([^"']+)["']/g;
const comment = /^\s*(?:\/\/|\/?\*).*$/gm;

/** The module names that a source text imports or re-exports, also for types only and dynamically. */
function findImports(source: string): string[] {
  return [...source.replace(comment, "").matchAll(statement)].map((match) => match[1] ?? "");
}

/** What an import breaks, as a sentence; undefined when nothing. `file` and the answer are relative to the root. */
function findBreach(file: string, specifier: string): string | undefined {
  const inTest = file.endsWith(".test.ts");
  if (specifier.startsWith(".")) {
    const target = relative(root, join(root, dirname(file), specifier));
    if (inTest && forAllTests.includes(target)) return undefined;
    const home = packageOf(file);
    if (packageOf(target) !== home) return `reaches into ${packageOf(target)} by a path`;
    return home === "packages/core" && !inTest ? findLayerBreach(file, target) : undefined;
  }
  const name = specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : (specifier.split("/")[0] ?? "");
  const adapter = adapters[name];
  if (adapter !== undefined && !file.startsWith(adapter) && !inTest) return `only ${adapter} may import ${name}`;
  if (name === "@postern/core" && specifier !== name) return `imports ${specifier}, not "@postern/core"`;
  if (file.startsWith("packages/core/") && !inTest && /^(@postern\/|postern$)/.test(name))
    return `core knows no other package, but imports ${name}`;
  return undefined;
}

function packageOf(file: string): string {
  return file.split("/").slice(0, 2).join("/");
}

function findLayerBreach(file: string, target: string): string | undefined {
  const from = layerOf(file);
  const to = layerOf(target);
  if (from < 0) return `${file} is in no layer`;
  if (to < 0) return `${target} is in no layer`;
  return to > from ? `${layers[from]} may not import ${layers[to]}, which is below it` : undefined;
}

function layerOf(file: string): number {
  return layers.indexOf(file.split("/")[3] ?? "");
}

describe("layering", () => {
  const files = globSync("packages/*/src/**/*.ts", { cwd: root }).toSorted();

  test("no file imports from below, beside or inside what is not its own", () => {
    const breaches = files.flatMap((file) =>
      findImports(readFileSync(join(root, file), "utf8")).flatMap((specifier) => {
        const breach = findBreach(file, specifier);
        return breach === undefined ? [] : [`${file}: ${breach}`];
      }),
    );
    expect(breaches).toEqual([]);
  });

  test.each([
    ["packages/core/src/model/x.ts", "../queue/store.ts", /model may not import queue/],
    ["packages/core/src/model/x.ts", "../new/x.ts", /in no layer/],
    ["packages/core/src/smtp/x.ts", "../queue/store.ts", undefined],
    ["packages/core/src/queue/x.ts", "smtp-server", /only packages\/core\/src\/smtp/],
    ["packages/core/src/smtp/x.ts", "smtp-server/lib/sasl.js", undefined],
    ["packages/cli/src/x.ts", "nodemailer/lib/smtp-connection", /only packages\/plugin-transport-smtp/],
    ["packages/cli/src/x.ts", "../../core/src/errors.ts", /reaches into packages\/core/],
    ["packages/cli/src/x.ts", "@postern/core/dist/errors.js", /not "@postern\/core"/],
    ["packages/core/src/plugin/x.ts", "@postern/plugin-access", /core knows no other package/],
    ["packages/core/src/plugin/x.test.ts", "@postern/testkit", undefined],
  ])("%s importing %s", (file, specifier, expected) => {
    const breach = findBreach(file, specifier);
    if (expected === undefined) expect(breach).toBeUndefined();
    else expect(breach).toMatch(expected);
  });

  test("imports are found in every form they take", () => {
    const source = [
      'import a from "a";',
      'import type { B } from "b";',
      'import "c";',
      'export * from "d";',
      'export { e,\n  f } from "e";',
      'const g = await import("g");',
      '// import h from "h";',
      'type I = import("i").I;',
    ].join("\n");
    expect(findImports(source)).toEqual(["a", "b", "c", "d", "e", "g", "i"]);
  });
});
