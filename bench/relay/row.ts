/** What came of a load on a system: medians over the runs, and how they stand to another system's. */
import { median, percentile } from "../lib/statistics.ts";
import type { Rates } from "./run.ts";

export interface Row extends Rates {
  readonly load: string;
  readonly system: string;
  /** Milliseconds; over all runs' waits together. */
  readonly latencyP50: number;
  readonly latencyP99: number;
}

export function summarise(load: string, system: string, rates: readonly Rates[], waits: readonly number[]): Row {
  const of = (pick: (run: Rates) => number): number => median(rates.map(pick));
  return {
    load,
    system,
    acceptPerSecond: of((run) => run.acceptPerSecond),
    endToEndPerSecond: of((run) => run.endToEndPerSecond),
    cpuPerThousand: of((run) => run.cpuPerThousand),
    peakMemoryBytes: of((run) => run.peakMemoryBytes),
    latencyP50: percentile(waits, 50),
    latencyP99: percentile(waits, 99),
  };
}

export interface Ratios {
  /** Times the other's end-to-end rate. */
  readonly rate: number;
  /** The other's CPU a message in units of ours: 8 says an eighth. */
  readonly cpuPart: number;
}

export function compareRows(row: Row, base: Row): Ratios {
  return {
    rate: row.endToEndPerSecond / base.endToEndPerSecond,
    cpuPart: base.cpuPerThousand / row.cpuPerThousand,
  };
}

/** `undefined` when one of the two was not measured. */
export function ratiosOf(rows: readonly Row[], load: string, system: string, base: string): Ratios | undefined {
  const find = (name: string): Row | undefined => rows.find((row) => row.load === load && row.system === name);
  const [own, other] = [find(system), find(base)];
  return own === undefined || other === undefined ? undefined : compareRows(own, other);
}
