/** `postern table check`: every table of the config opened, counted or asked once, and closed again. */
import { checkConfig, TableUnavailable, type LoadedConfig, type OpenedTable } from "@postern/core";
import { exitCodes } from "../exit-codes.ts";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { formatColumns, print, type Output } from "../output.ts";
import { whyUnavailable } from "../table-answer.ts";

/** Has a local part and a domain, so that queries by either ask their server; nobody has it in a table. */
const harmlessKey = "postern-table-check@example.invalid";

interface Proof {
  readonly table: string;
  readonly type: string;
  readonly name: string;
  readonly plugin: string;
  readonly kind: "indexed" | "pattern";
  readonly trusted: boolean;
  /** Of a table that is in memory. */
  readonly entries?: number;
  /** The one lookup that was tried was answered. */
  readonly answers: boolean;
  readonly error?: string;
  readonly costMs: number;
}

/** 0, or 75 when a table could not be asked. Throws `ConfigError` for what is wrong in the config or in a table. */
export async function checkTables(
  { file, config }: LoadedConfig,
  json: boolean | undefined,
  output: Output,
): Promise<number> {
  const warnings: string[] = [];
  const log = (level: string, text: string): void => void (level === "warn" && warnings.push(text));
  let tables: readonly Proof[] = [];
  // A backend that says nothing keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    await namingFile(file, () =>
      checkConfig(config, { searchFrom: [ownFolder], log }, async (listing) => {
        tables = await Promise.all((await listing.openTables()).map(prove));
      }),
    );
  } finally {
    clearInterval(alive);
    for (const warning of warnings) output.warn(`postern: warning: ${warning}\n`);
  }
  const down = tables.filter(({ answers }) => !answers);
  print(output, json, { ok: down.length === 0, file, tables, warnings }, () => formatProofs(file, tables));
  for (const { error } of down) output.warn(`postern: ${error}\n`);
  return down.length === 0 ? exitCodes.ok : exitCodes.temporary;
}

async function prove({ label, owner, table }: OpenedTable): Promise<Proof> {
  const { type, name, kind, trusted } = table;
  const common = { table: label, type, name, plugin: owner, kind, trusted };
  const begun = performance.now();
  const costMs = (): number => Math.round((performance.now() - begun) * 1000) / 1000;
  let entries: number | undefined;
  try {
    if (table.entries !== undefined) {
      entries = 0;
      for (const _ of table.entries()) entries += 1;
    }
    await table.lookup(harmlessKey);
  } catch (error) {
    if (!(error instanceof TableUnavailable)) throw error;
    return { ...common, answers: false, error: whyUnavailable(error), costMs: costMs() };
  }
  return { ...common, ...(entries !== undefined && { entries }), answers: true, costMs: costMs() };
}

function formatProofs(file: string, tables: readonly Proof[]): string {
  if (tables.length === 0) return `${file} has no tables\n`;
  return formatColumns([
    ["TABLE", "FROM", "ENTRIES", "STATE", "COST"],
    ...tables.map(({ table, plugin, entries, answers, costMs }) => [
      table,
      plugin,
      entries === undefined ? "-" : String(entries),
      answers ? "answers" : "could not ask",
      `${costMs.toFixed(1)} ms`,
    ]),
  ]);
}
