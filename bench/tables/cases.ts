/** All cases, in the order in which they run. */
import type { Figure, FigureCase } from "../lib/figure-case.ts";
import { measureCidr } from "./cidr.ts";
import { measureMysql, mysqlNeeds } from "./mysql.ts";
import { measurePatterns } from "./patterns.ts";
import { texthashCase } from "./texthash.ts";

const mysqlCase: FigureCase = {
  name: "mysql",
  what: "20 keys at once, cache off, beside mysql2's own execute() on the same server",
  needs: mysqlNeeds,
  async measure({ runs, quick }) {
    const measured = await measureMysql({ lookups: quick ? 2000 : 20_000, rounds: runs });
    const { ours, raw, ratio, postmap } = measured;
    return [
      { what: "lookups", value: ours, unit: "/s" },
      { what: "raw mysql2", value: raw, unit: "/s" },
      { what: "share of raw mysql2", value: ratio * 100, unit: "%", goal: { least: 85 } },
      ...(postmap === undefined ? [] : [{ what: "postmap -q -", value: postmap, unit: "/s" } as const]),
    ];
  },
};

const cidrCase: FigureCase = {
  name: "cidr",
  what: "a hundred thousand networks",
  needs: [],
  async measure({ quick }) {
    const scale = quick ? 0.1 : 1;
    const rows = await measureCidr({
      networks: 100_000 * scale,
      lookups: 1_000_000 * scale,
      postmapKeys: 2000 * scale,
    });
    return rows.flatMap(({ keys, ours, postmap }) => [
      { what: `lookups, ${keys}`, value: ours, unit: "/s", goal: { least: 500_000 } },
      ...besidePostmap(keys, postmap),
    ]);
  },
};

const patternCase: FigureCase = {
  name: "patterns",
  what: "a thousand rules of regexp and pcre; the goal is postmap's rate",
  needs: [],
  async measure({ quick }) {
    const scale = quick ? 0.1 : 1;
    const rows = await measurePatterns({ rules: 1000, lookups: 20_000 * scale, postmapKeys: 2000 * scale });
    return rows.flatMap(({ type, rules, keys, ours, postmap }): Figure[] => {
      const name = `${type}, ${rules}, ${keys}`;
      return [
        { what: name, value: ours, unit: "/s", ...(postmap !== undefined && { goal: { least: postmap } }) },
        ...besidePostmap(name, postmap),
      ];
    });
  },
};

function besidePostmap(what: string, rate: number | undefined): readonly Figure[] {
  return rate === undefined ? [] : [{ what: `  postmap -q -, ${what}`, value: rate, unit: "/s" }];
}

export const cases: readonly FigureCase[] = [texthashCase, cidrCase, patternCase, mysqlCase];
