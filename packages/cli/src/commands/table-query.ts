/** `postern table query`: what a table answers, key by key, as `postmap -q` says it; or how the answer was found. */
import { logText, type LookupTable, type MaybePromise, type TableSpec } from "@postern/core";
import { loadIfFound, type ConfigOptions } from "../config-source.ts";
import { exitCodes } from "../exit-codes.ts";
import { UsageError } from "../failure.ts";
import { answerInOrder } from "../in-order.ts";
import { keyLines, type KeyLine } from "../key-lines.ts";
import { createBatch, formatColumns, type Output } from "../output.ts";
import { createSearchTurns, type OrderOptions, type SearchTurns } from "../search-turns.ts";
import { answerFrom, Recorder, type Answer, type Step } from "../table-answer.ts";
import { openTableDesk } from "../table-desk.ts";

export interface QueryOptions extends ConfigOptions, OrderOptions {
  readonly explain?: boolean;
}

export interface QueryParts {
  readonly cwd: string;
  readonly output: Output;
  readonly input: AsyncIterable<Uint8Array>;
}

/** Questions to a table that answers later. */
const atATime = 64;

/**
 * The exit status: 0 when something was found, 1 when nothing was, 75 when a key could not be asked. One key prints its value; several, or
 * the lines of standard input for `-`, print key, tab and value for each one found.
 */
export async function queryTable(
  written: string,
  keys: readonly string[],
  options: QueryOptions,
  { cwd, output, input }: QueryParts,
): Promise<number> {
  refuseLoneOptions(options);
  const spec = readSpec(written);
  const config = (await loadIfFound(options, cwd))?.config;
  const warn = (text: string): void => output.warn(`postern: warning: ${text}\n`);
  const recorder = options.explain === true ? new Recorder() : undefined;
  const desk = openTableDesk({
    directory: cwd,
    config,
    warn,
    ...(recorder !== undefined && { observer: recorder }),
  });
  const turns = createSearchTurns(options, config, warn);
  const fromInput = keys.length === 1 && keys[0] === "-";
  try {
    const table = await desk.open(spec);
    const report = new Report(output, formatFor(options, keys.length === 1 && !fromInput));
    const ask = asker(table, turns, recorder);
    const batches = fromInput ? keyLines(input) : only(keys);
    try {
      await answerInOrder(batches, recorder === undefined ? atATime : 1, ask, (answer) => report.tell(answer));
    } finally {
      report.end();
    }
    return report.exitCode;
  } finally {
    await turns.close();
    await desk.close();
  }
}

function asker(
  table: LookupTable,
  turns: SearchTurns,
  recorder: Recorder | undefined,
): (key: KeyLine) => MaybePromise<Answer> {
  const turnsOf = (key: string) => turns.turnsOf(key);
  return (key) => {
    if (typeof key !== "string") return wrongKey(key);
    return recorder === undefined ? answerFrom(table, key, turnsOf) : recorder.explain(table, key, turnsOf);
  };
}

/** No table has a key that is no text; what a key of a megabyte would have got nobody knows. */
function wrongKey({ shown, wrong }: Exclude<KeyLine, string>): Answer {
  if (wrong === "noUtf8") return { key: shown, result: "notFound", error: "it is not UTF-8, no table has it" };
  return { key: shown, result: "unavailable", error: "it is longer than 1 MiB" };
}

async function* only(keys: readonly string[]): AsyncGenerator<readonly string[]> {
  yield keys;
}

type Format = (answer: Answer) => string;

function formatFor({ json, explain }: QueryOptions, single: boolean): Format {
  if (json === true) return (answer) => `${JSON.stringify(answer)}\n`;
  if (explain === true) return formatExplained;
  if (single) return ({ value }) => (value === undefined ? "" : `${value}\n`);
  return ({ key, value }) => (value === undefined ? "" : `${key}\t${value}\n`);
}

/** Prints answers and keeps count of them. */
class Report {
  readonly #output: Output;
  readonly #batch: ReturnType<typeof createBatch>;
  readonly #format: Format;
  #found = false;
  #unavailable = false;

  constructor(output: Output, format: Format) {
    this.#output = output;
    this.#batch = createBatch(output);
    this.#format = format;
  }

  tell(answer: Answer): void {
    const { key, result, error } = answer;
    if (result === "found") this.#found = true;
    if (result === "unavailable") this.#unavailable = true;
    if (error !== undefined) this.#output.warn(`postern: key "${logText(key)}": ${error}\n`);
    this.#batch.write(this.#format(answer));
  }

  end(): void {
    this.#batch.flush();
  }

  get exitCode(): number {
    if (this.#unavailable) return exitCodes.temporary;
    return this.#found ? exitCodes.ok : exitCodes.notFound;
  }
}

const words = { found: "found", notFound: "not found", unavailable: "could not ask" } as const;

function formatExplained({ key, result, value, steps = [] }: Answer): string {
  const rows = steps.flatMap((step) => [
    ["", step.table, logText(step.key), saidBy(step), placeOf(step), `${step.costMs.toFixed(3)} ms`],
    ...(step.inside ?? []).map((inner) => ["", `  ${inner.table}`, logText(inner.key), words[inner.result], "", ""]),
  ]);
  const head = `${logText(key)}: ${value === undefined ? words[result] : logText(value)}\n`;
  return head + formatColumns(rows);
}

const saidBy = ({ result, value }: Step): string => (value === undefined ? words[result] : `= ${logText(value, 60)}`);

function placeOf({ file, line }: Step): string {
  if (file === undefined) return "";
  return line === undefined ? file : `${file}, line ${line}`;
}

/** `type:name`, or an object as in a config, in JSON. */
function readSpec(written: string): TableSpec {
  if (!written.trimStart().startsWith("{")) return written;
  try {
    return JSON.parse(written) as TableSpec;
  } catch (error) {
    throw new UsageError(`the table is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** What belongs to a search order and would do nothing without one. */
function refuseLoneOptions({ as, recipientDelimiter, localDomain, clientName, sender, host }: QueryOptions): void {
  if (as !== undefined) return;
  const given = Object.entries({ recipientDelimiter, localDomain, clientName, sender, host }).find(
    ([, value]) => value !== undefined,
  );
  if (given === undefined) return;
  const option = given[0].replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`--${option} belongs to a search order; say which with --as`);
}
