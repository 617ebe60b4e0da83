/** All cases, in the order in which they run. */
import type { TableCase } from "./case.ts";
import { measureMysql, mysqlNeeds } from "./mysql.ts";
import { texthashCase } from "./texthash.ts";

const mysqlCase: TableCase = {
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

export const cases: readonly TableCase[] = [texthashCase, mysqlCase];
