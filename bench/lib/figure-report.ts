/** Figures as text for people. */
import { formatMachine, type Machine } from "./machine.ts";
import { formatMarkdownTable, formatTable } from "./text-table.ts";
import { isMet, type Figure } from "./figure-case.ts";

export interface CaseResult {
  readonly name: string;
  readonly what: string;
  readonly figures: readonly Figure[];
}

export interface FiguresEvidence {
  /** "tables": the case of `npm run bench`. */
  readonly bench: string;
  readonly date: string;
  readonly machine: Machine;
  readonly runs: number;
  readonly results: readonly CaseResult[];
}

const head = ["", "measured", "goal", ""];

export function formatCase({ name, what, figures }: CaseResult): string {
  return `${name}: ${what}\n${formatTable(head, figures.map(row))}`;
}

export function formatEvidence({ bench, date, machine, runs, results }: FiguresEvidence): string {
  const parts = results.map(
    ({ name, what, figures }) =>
      `## ${name}\n\n${capitalised(what)}.\n\n${formatMarkdownTable(head, figures.map(row))}\n`,
  );
  return [
    `# ${capitalised(bench)}, ${date.slice(0, 10)}\n`,
    `\`npm run bench -- ${bench} --runs ${runs} --write\`, medians.\n${formatMachine(machine)}.\n`,
    ...parts,
  ].join("\n");
}

const capitalised = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

function row(figure: Figure): string[] {
  const { what, value, unit, goal } = figure;
  const met = isMet(figure);
  const target =
    goal === undefined ? "" : "least" in goal ? `from ${amount(goal.least, unit)}` : `to ${amount(goal.most, unit)}`;
  return [what, amount(value, unit), target, met === undefined ? "" : met ? "met" : "missed"];
}

function amount(value: number, unit: Figure["unit"]): string {
  const digits =
    unit === "s" || unit === "µs" || (unit === "ms" && value < 10) ? 2 : unit === "%" || unit === "times" ? 1 : 0;
  const number = value.toLocaleString("en", { maximumFractionDigits: digits });
  return unit === "/s" || unit === "%" ? `${number}${unit === "%" ? " %" : unit}` : `${number} ${unit}`;
}
