/** Figures of tables as text for people. */
import { formatMachine, type Machine } from "../lib/machine.ts";
import { formatMarkdownTable, formatTable } from "../lib/text-table.ts";
import { isMet, type Figure } from "./case.ts";

export interface CaseResult {
  readonly name: string;
  readonly what: string;
  readonly figures: readonly Figure[];
}

export interface TablesEvidence {
  readonly date: string;
  readonly machine: Machine;
  readonly runs: number;
  readonly results: readonly CaseResult[];
}

const head = ["", "measured", "goal", ""];

export function formatCase({ name, what, figures }: CaseResult): string {
  return `${name}: ${what}\n${formatTable(head, figures.map(row))}`;
}

export function formatEvidence({ date, machine, runs, results }: TablesEvidence): string {
  const parts = results.map(
    ({ name, what, figures }) =>
      `## ${name}\n\n${what[0]?.toUpperCase()}${what.slice(1)}.\n\n${formatMarkdownTable(head, figures.map(row))}\n`,
  );
  return [
    `# Tables, ${date.slice(0, 10)}\n`,
    `\`npm run bench -- tables --runs ${runs} --write\`, medians.\n${formatMachine(machine)}.\n`,
    ...parts,
  ].join("\n");
}

function row(figure: Figure): string[] {
  const { what, value, unit, goal } = figure;
  const met = isMet(figure);
  const target =
    goal === undefined ? "" : "least" in goal ? `from ${amount(goal.least, unit)}` : `to ${amount(goal.most, unit)}`;
  return [what, amount(value, unit), target, met === undefined ? "" : met ? "met" : "missed"];
}

function amount(value: number, unit: Figure["unit"]): string {
  const digits = unit === "s" ? 2 : 0;
  const number = value.toLocaleString("en", { maximumFractionDigits: digits });
  return unit === "/s" || unit === "%" ? `${number}${unit === "%" ? " %" : unit}` : `${number} ${unit}`;
}
