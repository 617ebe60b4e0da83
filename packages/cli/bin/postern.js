#!/usr/bin/env node
// The command: finds Node 24 and runs the real thing with it. In a clone that is the source, in an installed package
// the build. Plain JavaScript for Node 18 or newer.
import { existsSync, realpathSync } from "node:fs";
import { sep } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild } from "./child.js";
import { environmentFor, findNode, ShimError } from "./node.js";

const source = realpathSync(fileURLToPath(new URL("..", import.meta.url))) + `${sep}src${sep}main.ts`;
const inClone = !source.includes(`${sep}node_modules${sep}`) && existsSync(source);

try {
  const node = await findNode();
  if (!inClone && node === process.execPath) await import("../dist/main.js");
  else {
    const main = inClone
      ? ["--conditions=@postern/source", source]
      : [fileURLToPath(new URL("../dist/main.js", import.meta.url))];
    process.exitCode = await runChild(node, [...main, ...process.argv.slice(2)], { env: environmentFor(node) });
  }
} catch (error) {
  if (!(error instanceof ShimError)) throw error;
  process.stderr.write(`postern: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
