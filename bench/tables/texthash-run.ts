/** Started by `texthash.ts` with a folder: opens `texthash:./aliases`, asks the keys in `keys`, prints one `TexthashRun` as JSON. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createGuard, createTableRegistry, systemClock, type LookupTable } from "@postern/core";
import { readStatusBytes } from "../lib/process-usage.ts";
import { median } from "../lib/statistics.ts";

export interface TexthashRun {
  readonly loadMs: number;
  /** The longest that a timer of a millisecond was late. */
  readonly stallMs: number;
  readonly beforeBytes: number;
  /** From the start of the process until the table stands. */
  readonly peakBytes: number;
  /** Lookups a second. */
  readonly found: number;
  readonly missed: number;
}

const rounds = 9;

const directory = process.argv[2] ?? ".";
const registry = createTableRegistry({
  directory,
  clock: systemClock,
  guard: createGuard(systemClock, () => {}),
  warn: (text) => console.error(text),
});
const beforeBytes = readStatusBytes(process.pid, "VmRSS");
const { table, loadMs, stallMs } = await load();
const peakBytes = readStatusBytes(process.pid, "VmHWM");
// Strings as a session makes them: flat, each with an address of its own.
const keys = readFileSync(join(directory, "keys"), "latin1")
  .split("\n")
  .map((key) => Buffer.from(key).toString());
const strangers = keys.map((key) => Buffer.from(`x${key}`).toString());
const result: TexthashRun = {
  loadMs,
  stallMs,
  beforeBytes,
  peakBytes,
  found: measure(keys, keys.length),
  missed: measure(strangers, 0),
};
console.log(JSON.stringify(result));
await registry.close();

async function load(): Promise<{ table: LookupTable; loadMs: number; stallMs: number }> {
  let stallMs = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    stallMs = Math.max(stallMs, now - last - 1);
    last = now;
  }, 1);
  const started = performance.now();
  const table = await registry.open("texthash:./aliases");
  const loadMs = performance.now() - started;
  clearInterval(watch);
  return { table, loadMs, stallMs };
}

function measure(asked: readonly string[], expected: number): number {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    let found = 0;
    const started = performance.now();
    for (const key of asked) if (table.lookup(key) !== undefined) found += 1;
    rates.push((asked.length / (performance.now() - started)) * 1000);
    if (found !== expected) throw new Error(`${found} of ${asked.length} keys found, ${expected} expected`);
  }
  return median(rates);
}
