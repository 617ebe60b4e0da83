/** `npm run bench -- CASE [options]`: each folder here with a `main.ts` is a case. */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BenchError } from "./lib/bench-error.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const cases = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(`${here}${entry.name}/main.ts`))
  .map((entry) => entry.name);

// Whoever started a process ends it on "exit", which a signal alone would skip.
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(status));
}

const [name, ...args] = process.argv.slice(2);
try {
  if (name === undefined || !cases.includes(name)) {
    throw new BenchError(`usage: npm run bench -- CASE [options]\ncases: ${cases.join(", ")}`, 64);
  }
  const { main } = (await import(`./${name}/main.ts`)) as { main: (args: string[]) => Promise<void> };
  await main(args);
} catch (error) {
  const { code } = error as NodeJS.ErrnoException;
  if (!(error instanceof BenchError) && code?.startsWith("ERR_PARSE_ARGS") !== true) throw error;
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = error instanceof BenchError ? error.exitCode : 64;
}
