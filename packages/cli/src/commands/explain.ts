/** `postern explain`: what a config would do with a session, without doing it. */
import { resolve } from "node:path";
import {
  createExplainer,
  type Explained,
  type ExplainedVerdict,
  type Explainer,
  type LoadedConfig,
} from "@postern/core";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import { exitCodes } from "../exit-codes.ts";
import { questionOf, readCases, readFile, type Case } from "../explanation/cases.ts";
import { differences, formatDifferences, type Difference } from "../explanation/difference.ts";
import { cut, formatExplained } from "../explanation/format.ts";
import { UsageError } from "../failure.ts";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { print, type Output } from "../output.ts";

export interface ExplainCommandOptions extends ConfigOptions {
  readonly client?: string;
  readonly helo?: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly auth?: string;
  readonly tls?: boolean;
  readonly message?: string;
  readonly listener?: string;
  readonly diff?: string;
  readonly live?: boolean;
  readonly cases?: string;
}

/** For scripts: what a client would learn. */
const statuses: Readonly<Record<ExplainedVerdict, number>> = {
  accepted: exitCodes.ok,
  refused: exitCodes.noPermission,
  deferred: exitCodes.temporary,
};
/** `--diff` found something, or a case's `expect` does not hold. */
const different = 1;

export async function explain(options: ExplainCommandOptions, cwd: string, output: Output): Promise<number> {
  const cases = casesOf(options, cwd);
  await using stack = new AsyncDisposableStack();
  // Timers of a gateway keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  stack.defer(() => clearInterval(alive));
  const open = async (loaded: LoadedConfig): Promise<Opened> => {
    const warn = (text: string): void => output.warn(`postern: warning: ${text}\n`);
    const settings = { searchFrom: [ownFolder], live: options.live === true, warn };
    const explainer = await namingFile(loaded.file, () => createExplainer(loaded.config, settings));
    stack.defer(() => explainer.close());
    return { file: loaded.file, explainer };
  };
  const here = await open(await loadRequired(options, cwd));
  const there =
    options.diff === undefined
      ? undefined
      : await open(await loadRequired({ config: resolve(cwd, options.diff), by: "--diff" }, cwd));
  const [only] = cases;
  // Awaited here: what the stack holds is closed when this function ends.
  if (options.cases !== undefined) return await runCases(cases, { here, there }, options.json, output);
  if (only === undefined) throw new UsageError("there is nothing to explain");
  const explained = await ask(here, only);
  if (there !== undefined)
    return tellDifference(explained, await ask(there, only), [here.file, there.file], options.json, output);
  print(output, options.json, explained, () => formatExplained(explained));
  return statuses[explained.verdict];
}

interface Opened {
  readonly file: string;
  readonly explainer: Explainer;
}

async function ask({ explainer }: Opened, { question, name }: Case): Promise<Explained> {
  try {
    return await explainer.explain(question);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(name === "" ? error.message : `${name}: ${error.message}`);
    throw error;
  }
}

function casesOf(options: ExplainCommandOptions, cwd: string): readonly Case[] {
  const { client, helo, from, to, auth, tls, message, listener, cases } = options;
  if (cases !== undefined) {
    if (client !== undefined || from !== undefined || to !== undefined) {
      throw new UsageError("--cases has the questions; --client, --from and --to are for one");
    }
    return readCases(resolve(cwd, cases));
  }
  if (client === undefined || from === undefined || to === undefined || to.length === 0) {
    throw new UsageError("say --client IP[=name], --from and --to, or --cases FILE");
  }
  const content = message === undefined ? undefined : readFile(resolve(cwd, message));
  return [
    {
      name: "",
      question: questionOf({ client, helo, from, to, auth, tls, message: content, listener }),
      expect: undefined,
    },
  ];
}

function tellDifference(
  one: Explained,
  other: Explained,
  files: readonly [string, string],
  json: boolean | undefined,
  output: Output,
): number {
  const found = differences(one, other);
  print(output, json, { same: found.length === 0, files, differences: found, here: one, there: other }, () =>
    found.length === 0 ? `both say the same: ${one.verdict}\n` : formatDifferences(found, files),
  );
  return found.length === 0 ? exitCodes.ok : different;
}

interface Told {
  readonly name: string;
  readonly verdict: ExplainedVerdict;
  readonly reply: string;
  /** Absent without `expect`. */
  readonly expected?: ExplainedVerdict;
  readonly there?: ExplainedVerdict;
  readonly differences?: readonly Difference[];
}

/** One line a case; with --diff only those that differ. JSON: one object a line. */
async function runCases(
  cases: readonly Case[],
  { here, there }: { readonly here: Opened; readonly there: Opened | undefined },
  json: boolean | undefined,
  output: Output,
): Promise<number> {
  let wrong = 0;
  for (const [index, one] of cases.entries()) {
    if (output.isTerminal === true && index % 100 === 99) output.warn(`${index + 1} of ${cases.length}\r`);
    const explained = await ask(here, one);
    const other = there === undefined ? undefined : await ask(there, one);
    const found = other === undefined ? [] : differences(explained, other);
    const { name, expect } = one;
    const told: Told = {
      name,
      verdict: explained.verdict,
      reply: decisiveReply(explained),
      ...(expect !== undefined && { expected: expect }),
      ...(other !== undefined && { there: other.verdict, differences: found }),
    };
    const isWrong = found.length > 0 || (expect !== undefined && expect !== explained.verdict);
    if (isWrong) wrong += 1;
    if (json === true) output.write(`${JSON.stringify(told)}\n`);
    else if (there === undefined || isWrong) output.write(formatCase(told, found, other));
  }
  if (json !== true) output.write(summary(cases.length, wrong, there !== undefined));
  return wrong === 0 ? exitCodes.ok : different;
}

function summary(count: number, wrong: number, compared: boolean): string {
  const cases = `${count} ${count === 1 ? "case" : "cases"}`;
  if (compared) return wrong === 0 ? `${cases}: both say the same\n` : `${cases}: ${wrong} differ\n`;
  return wrong === 0 ? `${cases}\n` : `${cases}: ${wrong} not as expected\n`;
}

function decisiveReply({ recipients, verdict }: Explained): string {
  return recipients.find((one) => one.verdict === verdict)?.reply ?? "";
}

function formatCase({ name, verdict, reply, expected }: Told, found: readonly Difference[], other?: Explained): string {
  const wrong = expected !== undefined && expected !== verdict ? `, not ${expected}` : "";
  if (other === undefined) return `${cut(`${name}: ${verdict}${wrong}  ${reply}`, 100)}\n`;
  const changes = found
    .filter(({ what }) => what !== "verdict")
    .map(({ what, here, there }) => `   ${what}: ${here} | ${there}\n`);
  const head = verdict === other.verdict ? verdict : `${verdict} | ${other.verdict}`;
  return `${name}: ${head}\n${changes.map((change) => change.replaceAll(/\n(?!$)/g, "; ")).join("")}`;
}
