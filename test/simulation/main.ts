/**
 * `npm run simulate -- [--seeds N] [--seed S] [--planted] [--json]`: lives of the queue's store on a simulated disk, each from its seed.
 * One seed alone tells what it did. The last line is the sum; status 1 says that a promise was broken or, with `--planted`, that
 * the simulation missed a mistake that was made on purpose.
 */
import { parseArgs } from "node:util";
import { plantedFaults, plantedSeeds } from "../../packages/core/src/queue/planted-faults.ts";
import { simulate } from "../../packages/core/src/queue/simulation.ts";

const usage = "usage: npm run simulate -- [--seeds N] [--seed FIRST] [--planted] [--json]";

interface Options {
  readonly first: number;
  readonly seeds: number;
  readonly traced: boolean;
  readonly planted: boolean;
  readonly json: boolean;
}

const options = readOptions();
process.exitCode = options.planted ? await findPlanted(options) : await runSeeds(options);

async function runSeeds({ first, seeds, traced, json }: Options): Promise<number> {
  const started = performance.now();
  const violations: string[] = [];
  let faults = 0;
  for (let seed = first; seed < first + seeds; seed += 1) {
    const result = await simulate(seed, traced ? { trace: (line) => process.stderr.write(`${line}\n`) } : {});
    faults += result.faults;
    violations.push(...result.violations);
    if (!json) for (const violation of result.violations) process.stdout.write(`${violation}\n`);
    const done = seed - first + 1;
    if (done % 1000 === 0 && done < seeds)
      process.stderr.write(`${done} seeds, ${faults} faults, ${violations.length} violations\n`);
  }
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  print(json, { first, seeds, faults, violations, seconds }, () => [
    `${seeds} seeds run (${first} to ${first + seeds - 1}, ${seconds} s), ${faults} faults injected, ${violations.length} violations`,
  ]);
  return violations.length === 0 ? 0 : 1;
}

async function findPlanted({ first, seeds, json }: Options): Promise<number> {
  const found: { name: string; seed: number | undefined; violation: string | undefined; seeds: number }[] = [];
  let faults = 0;
  for (const [name, planted] of Object.entries(plantedFaults)) {
    let seed = first;
    let violation: string | undefined;
    for (; seed < first + seeds && violation === undefined; seed += 1) {
      const result = await simulate(seed, { planted });
      faults += result.faults;
      violation = result.violations[0];
    }
    const by = violation === undefined ? undefined : seed - 1;
    found.push({ name, seed: by, violation, seeds: seed - first });
    if (!json)
      process.stdout.write(`${by === undefined ? "missed" : "found "}  ${name}: ${violation ?? `${seeds} seeds`}\n`);
  }
  const missed = found.filter(({ violation }) => violation === undefined);
  const run = found.reduce((sum, one) => sum + one.seeds, 0);
  print(json, { planted: found, seeds: run, faults, missed: missed.length }, () => [
    `${run} seeds run, ${faults} faults injected, ${found.length - missed.length} of ${found.length} planted faults found`,
  ]);
  return missed.length === 0 ? 0 : 1;
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string" },
        seed: { type: "string" },
        planted: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      },
    });
    const { planted, json } = values;
    const alone = values.seed !== undefined && !planted ? 1 : undefined;
    const seeds = whole("--seeds", values.seeds) ?? alone ?? (planted ? plantedSeeds : 2000);
    return { first: whole("--seed", values.seed) ?? 1, seeds, traced: alone === 1 && seeds === 1, planted, json };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    process.exit(64);
  }
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new Error(`${name} wants a whole number above 0, not ${text}`);
  return Number(text);
}

function print(json: boolean, data: unknown, lines: () => readonly string[]): void {
  process.stdout.write(
    json
      ? `${JSON.stringify(data)}\n`
      : lines()
          .map((line) => `${line}\n`)
          .join(""),
  );
}
