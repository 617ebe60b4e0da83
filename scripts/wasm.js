// Writes the modules of WebAssembly anew from their text, each as a module of TypeScript beside it; with --check it only says
// which of them are out of step. Plain JavaScript for Node 24.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import loadWabt from "wabt";

const root = fileURLToPath(new URL("..", import.meta.url));
const check = process.argv.includes("--check");
const wabt = await loadWabt();
let stale = 0;
for (const name of globSync("packages/*/src/**/*.wat", { cwd: root })) {
  const text = wabt.parseWat(basename(name), readFileSync(join(root, name), "utf8"), { simd: true });
  text.validate();
  const octets = Buffer.from(text.toBinary({}).buffer);
  text.destroy();
  const target = name.replace(/\.wat$/, ".wasm.ts");
  const wanted = `/** ${basename(name)} in its binary form, as base64; \`node scripts/wasm.js\` writes it. */\nexport const octets =\n  "${octets.toString("base64")}";\n`;
  if (read(target) === wanted) continue;
  stale++;
  if (check) process.stderr.write(`${target} is out of step with ${name}; node scripts/wasm.js writes it anew\n`);
  else {
    writeFileSync(join(root, target), wanted);
    process.stdout.write(`wrote ${target}\n`);
  }
}
process.exitCode = check && stale > 0 ? 1 : 0;

function read(name) {
  try {
    return readFileSync(join(root, name), "utf8");
  } catch {
    return undefined;
  }
}
