/**
 * Runs cases of figures: `npm run bench -- NAME [--runs N] [--only A,B] [--quick] [--json] [--write]`. `--write` keeps the figures in
 * docs/evidence.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { temporaryFolder } from "../../test/services/folder.ts";
import { findProgram } from "../../test/services/programs.ts";
import { BenchError } from "./bench-error.ts";
import { describeMachine } from "./machine.ts";
import { someOf, wholeNumber } from "./options.ts";
import type { FigureCase } from "./figure-case.ts";
import { formatCase, formatEvidence, type CaseResult, type FiguresEvidence } from "./figure-report.ts";

const repository = join(import.meta.dirname, "../..");

export async function measureFigures(bench: string, cases: readonly FigureCase[], args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string", default: "3" },
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const { only, quick, json, write } = values;
  const runs = wholeNumber("runs", values.runs);
  const names = cases.map(({ name }) => name);
  const chosen = someOf("only", only, names);
  if (write && (quick || chosen.length < names.length)) {
    throw new BenchError("--write needs whole runs of everything: leave out --quick and --only", 64);
  }
  using folder = temporaryFolder();
  const results: CaseResult[] = [];
  for (const figureCase of cases.filter(({ name }) => chosen.includes(name))) {
    const result = await measureCase(figureCase, runs, quick);
    if (result === undefined) continue;
    results.push(result);
    if (!json) console.log(`\n${formatCase(result)}`);
  }
  const date = new Date().toISOString();
  const evidence: FiguresEvidence = { bench, date, machine: describeMachine(folder.path), runs, results };
  if (json) console.log(JSON.stringify(evidence));
  if (write) console.error(`written: ${writeEvidence(evidence).join(", ")}`);
}

async function measureCase(figureCase: FigureCase, runs: number, quick: boolean): Promise<CaseResult | undefined> {
  const { name, what, needs } = figureCase;
  const missing = needs.filter((program) => findProgram(program) === undefined);
  if (missing.length > 0) {
    console.error(`${name}: left out, ${missing.join(" and ")} not installed`);
    return undefined;
  }
  console.error(`${name}: ${what}`);
  using folder = temporaryFolder();
  return { name, what, figures: await figureCase.measure({ folder: folder.path, runs, quick }) };
}

function writeEvidence(evidence: FiguresEvidence): readonly string[] {
  const name = `docs/evidence/${evidence.bench}-${evidence.date.slice(0, 10)}`;
  mkdirSync(join(repository, "docs/evidence"), { recursive: true });
  writeFileSync(join(repository, `${name}.md`), formatEvidence(evidence));
  writeFileSync(join(repository, `${name}.json`), `${JSON.stringify(evidence, undefined, 2)}\n`);
  return [`${name}.md`, `${name}.json`];
}
