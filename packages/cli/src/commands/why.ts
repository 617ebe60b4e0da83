/** `postern why`: a decision or a message found in the log and explained, and asked again of the config as it is now. */
import { resolve } from "node:path";
import {
  createExplainer,
  parseRefusalLine,
  type Explained,
  type LoadedConfig,
  type Question,
  type RefusalLine,
} from "@postern/core";
import { loadIfFound, type ConfigOptions } from "../config-source.ts";
import { findPlace, type DecisionPlace } from "../decision-place.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatExplained } from "../explanation/format.ts";
import { UsageError } from "../failure.ts";
import { ownFolder } from "../inspection.ts";
import { linesOf, linesOfFile, rotatedFiles } from "../log-lines.ts";
import { namingFile } from "../naming-file.ts";
import { print } from "../output.ts";
import type { Surroundings } from "../program.ts";

export interface WhyOptions extends ConfigOptions {
  readonly log?: readonly string[];
  readonly now?: boolean;
}

/** Of one message. */
const mostLines = 1000;

interface Decision {
  readonly decision: string | undefined;
  readonly refusal: RefusalLine;
  /** Absent without a config, and for what stands in no list. */
  readonly place?: DecisionPlace;
  readonly now?: Explained;
}

interface Answer {
  readonly id: string;
  readonly lines: readonly string[];
  readonly decisions: readonly Decision[];
}

export async function why(id: string, options: WhyOptions, { cwd, output, input }: Surroundings): Promise<number> {
  if (!/^[0-9A-Za-z]{4,32}$/.test(id)) throw new UsageError(`"${id}" is no id: it is what stands behind d= in the log`);
  const lines = await findLines(id, options.log, cwd, input);
  if (lines.length === 0) {
    print(output, options.json, { id, lines: [], decisions: [] }, () => `${id} is not in the log\n`);
    return exitCodes.notFound;
  }
  const loaded = await loadIfFound(options, cwd);
  const refusals = lines.map(parseRefusalLine).filter((found) => found !== undefined);
  const wanted = refusals.filter((refusal) => refusal.fields["d"] === id || refusal.id === id);
  const decisions: Decision[] = [];
  for (const refusal of wanted) decisions.push(await judge(refusal, loaded, options.now === true));
  const answer: Answer = { id, lines, decisions };
  print(output, options.json, answer, () => format(answer, loaded));
  return exitCodes.ok;
}

async function findLines(
  id: string,
  files: readonly string[] | undefined,
  cwd: string,
  input: AsyncIterable<Uint8Array> | undefined,
): Promise<readonly string[]> {
  const word = new RegExp(`(?<![0-9A-Za-z])${id}(?![0-9A-Za-z])`);
  const found: string[] = [];
  const search = async (lines: AsyncIterable<string>): Promise<void> => {
    for await (const line of lines) {
      if (!line.includes(id) || !word.test(line)) continue;
      found.push(line);
      if (found.length >= mostLines) return;
    }
  };
  if (files !== undefined) {
    for (const file of files) {
      // What was rotated away is read when the file itself knows nothing.
      for (const one of rotatedFiles(resolve(cwd, file))) {
        await search(linesOfFile(one));
        if (found.length > 0) break;
      }
    }
    return found;
  }
  if (input === undefined && process.stdin.isTTY) {
    throw new UsageError("say --log FILE, or hand the log in: journalctl -u postern | postern why ID");
  }
  await search(linesOf(input ?? process.stdin));
  return found;
}

async function judge(refusal: RefusalLine, loaded: LoadedConfig | undefined, again: boolean): Promise<Decision> {
  const { d, path = "", word } = refusal.fields;
  const place = loaded === undefined ? undefined : findPlace(path, word, loaded.config);
  const common = { decision: d, refusal, ...(place !== undefined && { place }) };
  if (!again) return common;
  if (loaded === undefined) throw new UsageError("--now needs a config");
  return { ...common, now: await askAgain(refusal, loaded) };
}

/** The facts of the log; who the recipients of a whole message were does not stand there. */
async function askAgain({ client, address, fields }: RefusalLine, { file, config }: LoadedConfig): Promise<Explained> {
  const alive = setInterval(() => undefined, 1000);
  try {
    const explainer = await namingFile(file, () => createExplainer(config, { searchFrom: [ownFolder] }));
    try {
      return await explainer.explain({
        client: address,
        clientName: client,
        helo: fields["helo"] ?? `[${address}]`,
        from: fields["from"] ?? "",
        to: [fields["to"] ?? "postmaster"],
        auth: fields["auth"],
        ...whereOf(fields["path"], config),
      });
    } catch (error) {
      if (error instanceof RangeError) throw new UsageError(`--now: ${error.message}`);
      throw error;
    } finally {
      await explainer.close();
    }
  } finally {
    clearInterval(alive);
  }
}

/** A listener's own list names the listener; who came to it in time to be refused there spoke TLS where it is asked for. */
function whereOf(path: string | undefined, { listeners }: LoadedConfig["config"]): Pick<Question, "listener" | "tls"> {
  const [, index] = /^listeners\[(\d+)\]/.exec(path ?? "") ?? [];
  const listener = index === undefined ? undefined : listeners[Number(index)];
  return listener === undefined ? {} : { listener: listener.name, tls: listener.tls === "required" };
}

function format({ id, lines, decisions }: Answer, loaded: LoadedConfig | undefined): string {
  if (decisions.length === 0) return [`${id} in the log:`, ...lines].map((line) => `${line}\n`).join("");
  return decisions.map((decision) => formatDecision(decision, loaded)).join("\n");
}

function formatDecision({ decision, refusal, place, now }: Decision, loaded: LoadedConfig | undefined): string {
  const { command, client, address, reply, id, fields } = refusal;
  const { from, to, helo, auth, by, path, word, plugin, table, key, failure, error = "" } = fields;
  const facts: [string, string | undefined][] = [
    ["decision", decision],
    ["message", id === "NOQUEUE" ? undefined : id],
    ["client", `${client}[${address}]${auth === undefined ? "" : `, authenticated as ${auth}`}`],
    ["helo", helo],
    ["from", from === undefined ? undefined : `<${from}>`],
    ["to", to === undefined ? undefined : `<${to}>`],
    ["refused at", command],
    ["reply", reply],
    ["decided by", `${decider(by, word, plugin)}${failure === undefined ? "" : ", by its onError"}`],
    ["failed", failure === undefined ? undefined : `${failed(by, word, path)} gave no answer (${failure}): ${error}`],
    ["in", path],
    ["table", table === undefined ? undefined : `${table}, key ${key ?? ""}`],
    ["config", stand(place, loaded)],
  ];
  const text = facts
    .filter((fact): fact is [string, string] => fact[1] !== undefined)
    .map(([name, value]) => `${name.padEnd(11)} ${value}\n`)
    .join("");
  return now === undefined ? text : `${text}\nNow: ${formatExplained(now)}`;
}

function decider(by: string | undefined, word: string | undefined, plugin: string | undefined): string {
  if (by === undefined) return "a rule of the core";
  const who = word ?? by.replaceAll("-", " ");
  return plugin === undefined || plugin === "core" ? who : `${who} of plugin ${plugin}`;
}

function failed(by: string | undefined, word: string | undefined, path: string | undefined): string {
  if (by === "hook") return `hook ${path ?? ""}`;
  return by === "scanners" ? `scanner ${word ?? ""}` : (word ?? "");
}

function stand(place: DecisionPlace | undefined, loaded: LoadedConfig | undefined): string | undefined {
  if (loaded === undefined || place === undefined) return undefined;
  if (place.holds) return `${loaded.file} still says so`;
  const now = place.entry === undefined ? "nothing" : JSON.stringify(place.entry);
  return `${loaded.file} has changed: ${place.path} is ${now} now`;
}
