/** `npm run bench -- CASE [options]`: each folder here with a `main.ts` is a case. */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const cases = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(`${here}${entry.name}/main.ts`))
  .map((entry) => entry.name);

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !cases.includes(name)) {
  console.error(`usage: npm run bench -- CASE [options]\ncases: ${cases.join(", ")}`);
  process.exit(64);
}
const { main } = (await import(`./${name}/main.ts`)) as { main: (args: string[]) => Promise<void> };
await main(args);
