/** A thousand rules of `regexp` and `pcre`: hit and miss, with literals to search and without, beside the real postmap. */
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableTypes } from "@postern/plugin-maps-file";
import { temporaryFolder } from "../../test/services/folder.ts";
import { openTable, rateOf } from "./open-table.ts";
import { measurePostmap } from "./postmap-rate.ts";

export interface PatternMeasure {
  readonly type: "regexp" | "pcre";
  readonly rules: string;
  readonly keys: string;
  /** Lookups a second. */
  readonly ours: number;
  readonly postmap: number | undefined;
  readonly loadMs: number;
}

export interface PatternOptions {
  readonly rules: number;
  /** Lookups of ours, and keys for postmap, which is slower by far. */
  readonly lookups: number;
  readonly postmapKeys: number;
}

const ruleKinds: Readonly<Record<string, (at: number) => string>> = {
  "a host each": (at) => `/^([^@]+)@host${at}\\.example\\.(com|net)$/ relay${at}:$1`,
  // No literal that tells them apart: each rule is tried on each key.
  "no literals": (at) =>
    `/^[a-z]+[0-9]{1,2}@h[a-z]+[${at % 10}][0-${at % 10}]${"[0-9]?".repeat(at % 7)}\\.e.*[mt]$/ v${at}`,
};

const keyKinds: Readonly<Record<string, (at: number, rules: number) => string>> = {
  hit: (at, rules) => `user${at % 97}@host${at % rules}.example.com`,
  miss: (at, rules) => `user${at % 97}@host${at % rules}.example.org`,
};

export async function measurePatterns(options: PatternOptions): Promise<PatternMeasure[]> {
  using folder = temporaryFolder();
  const path = join(folder.path, "rules");
  const measures: PatternMeasure[] = [];
  for (const [rules, rule] of Object.entries(ruleKinds)) {
    writeFileSync(path, Array.from({ length: options.rules }, (_, at) => `${rule(at)}\n`).join(""));
    utimesSync(path, 1e9, 1e9);
    for (const type of ["regexp", "pcre"] as const) {
      const start = performance.now();
      const table = await openTable(tableTypes, `${type}:${path}`);
      const loadMs = performance.now() - start;
      for (const [keys, key] of Object.entries(keyKinds)) {
        const asked = Array.from({ length: options.postmapKeys }, (_, at) => key(at, options.rules));
        const ours = rateOf(table, asked, options.lookups);
        const postmap = (await measurePostmap(folder.path, `${type}:${path}`, asked))?.perSecond;
        measures.push({ type, rules, keys, ours, postmap, loadMs });
      }
      await table.close();
    }
  }
  return measures;
}
