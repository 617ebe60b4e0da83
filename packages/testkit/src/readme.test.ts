// The README's examples, run as they stand.
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const folder = new URL(".", import.meta.url).pathname;
const readme = readFileSync(join(folder, "../README.md"), "utf8");
const examples = [...readme.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, text = ""]) => text);

test("there are some", () => expect(examples.length).toBe(2));

test.each(examples.map((text, index) => [index + 1, text] as const))("example %i", async (_, text) => {
  const home = mkdtempSync(join(tmpdir(), "postern-readme-"));
  try {
    // Its imports resolve as an author's would.
    symlinkSync(join(folder, "../../../node_modules"), join(home, "node_modules"));
    writeFileSync(join(home, "example.ts"), text);
    await import(/* @vite-ignore */ join(home, "example.ts"));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
