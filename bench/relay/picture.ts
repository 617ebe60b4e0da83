/** The figures as a picture: end-to-end rate and CPU, each in units of Postfix as packaged, so that all sizes fit one scale. */
import { drawChart, type Bar, type Panel } from "../lib/bar-chart.ts";
import { baseSystem, type RelayEvidence } from "./report.ts";
import { ratiosOf, type Ratios, type Row } from "./row.ts";

const names: Readonly<Record<string, string>> = {
  postfix: "Postfix",
  "postfix-tuned": "Postfix, tuned",
  haraka: "Haraka",
  postern: "Postern",
};

export function drawEvidence(evidence: RelayEvidence): string {
  const { date, loads, rows, machine, runs, quick } = evidence;
  const panel = (title: string, bar: (row: Row, ratios: Ratios) => Omit<Bar, "label">): Panel => ({
    title,
    groups: loads
      .map(({ label }) => ({ title: label, bars: barsOf(label, rows, bar) }))
      .filter(({ bars }) => bars.length > 0),
  });
  return drawChart({
    title: "Relaying mail, durably",
    panels: [
      panel("Messages a second, end to end (longer is better)", (row, { rate }) => ({
        value: rate,
        text: `${count(row.endToEndPerSecond)}/s (${rate.toFixed(1)}×)`,
      })),
      panel("CPU seconds for 1,000 messages (shorter is better)", (row, { cpuPart }) => ({
        value: 1 / cpuPart,
        text: `${row.cpuPerThousand.toFixed(2)} s (1/${cpuPart.toFixed(1)})`,
      })),
    ],
    footnote:
      `${date.slice(0, 10)}, ${machine.cores} cores, Node ${machine.node.slice(1)}, Postfix ${machine.postfix ?? "?"}; ` +
      `median of ${runs}${quick ? ", quick" : ""}; lengths relative to Postfix as packaged in each group.`,
  });
}

function barsOf(load: string, rows: readonly Row[], bar: (row: Row, ratios: Ratios) => Omit<Bar, "label">): Bar[] {
  return rows
    .filter((row) => row.load === load)
    .flatMap((row) => {
      const ratios = row.system === baseSystem ? { rate: 1, cpuPart: 1 } : ratiosOf(rows, load, row.system, baseSystem);
      if (ratios === undefined) return [];
      return [{ label: names[row.system] ?? row.system, strong: row.system === "postern", ...bar(row, ratios) }];
    });
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
