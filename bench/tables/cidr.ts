/** A hundred thousand networks in `cidr`, beside the real postmap on the same file. */
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableTypes } from "@postern/plugin-maps-file";
import { temporaryFolder } from "../../test/services/folder.ts";
import { randomFrom } from "../../test/sampling.ts";
import { openTable, rateOf } from "./open-table.ts";
import { measurePostmap } from "./postmap-rate.ts";

export interface CidrMeasure {
  readonly keys: string;
  /** Lookups a second. */
  readonly ours: number;
  readonly postmap: number | undefined;
  readonly loadMs: number;
  /** Of the heap and what hangs on it, once loaded. */
  readonly memoryBytes: number;
}

export interface CidrOptions {
  readonly networks: number;
  readonly lookups: number;
  readonly postmapKeys: number;
}

export async function measureCidr(options: CidrOptions): Promise<CidrMeasure[]> {
  using folder = temporaryFolder();
  const path = join(folder.path, "networks");
  const next = randomFrom(1);
  const below = (limit: number) => Math.floor(next() * limit);
  const ipv4 = () => `${1 + below(223)}.${below(256)}.${below(256)}.${below(256)}`;
  const ipv6 = () => `2001:${below(65_536).toString(16)}:${below(65_536).toString(16)}::${below(65_536).toString(16)}`;
  const network = (at: number): string => {
    if (at % 10 === 0) return `2001:${below(65_536).toString(16)}:${below(65_536).toString(16)}::/48`;
    const [a, b, c] = ipv4().split(".");
    return at % 3 === 0 ? `${a}.${b}.${c}.${below(256)}` : `${a}.${b}.${c}.0/24`;
  };
  const text = Array.from({ length: options.networks }, (_, at) => `${network(at)} value${at % 1000}\n`).join("");
  writeFileSync(path, text);
  utimesSync(path, 1e9, 1e9);
  const before = memoryInUse();
  const start = performance.now();
  const table = await openTable(tableTypes, `cidr:${path}`);
  const loadMs = performance.now() - start;
  const memoryBytes = memoryInUse() - before;
  const measures: CidrMeasure[] = [];
  for (const [keys, key] of Object.entries({ ipv4, ipv6, "no address": () => `host${below(1_000)}.example.com` })) {
    const asked = Array.from({ length: 10_000 }, key);
    const ours = rateOf(table, asked, options.lookups);
    const theirs = await measurePostmap(folder.path, `cidr:${path}`, asked.slice(0, options.postmapKeys));
    measures.push({ keys, ours, postmap: theirs?.perSecond, loadMs, memoryBytes });
  }
  await table.close();
  return measures;
}

/** With `--expose-gc` exact, else only near. */
function memoryInUse(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
