/** `postern quarantine list`, `show`, `release` and `delete` ask the running gateway; `verify` and `salvage` need that none runs. */
import { askControl, type PosternError, type QuarantinedMessage, type QuarantineListing } from "@postern/core";
import type { Command } from "commander";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import { exitCodes } from "../exit-codes.ts";
import { CommandError, UsageError } from "../failure.ts";
import { print, type Output } from "../output.ts";
import type { Surroundings } from "../program.ts";
import { confirm } from "../quarantine/confirm.ts";
import { addFilters, type FilterOptions, isFiltered, queryOf, readCount } from "../quarantine/filters.ts";
import { formatListing, formatMessage } from "../quarantine/format.ts";
import { pages } from "../quarantine/pages.ts";
import { actOnEach, tellActed, type Acted } from "./acting.ts";

type Add = (parent: Command, name: string, description: string) => Command;

interface ListOptions extends ConfigOptions, FilterOptions {
  readonly limit?: number;
}

interface ShowOptions extends ConfigOptions {
  readonly raw?: boolean;
}

interface ActOptions extends ConfigOptions, FilterOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
  /** `release`: addresses. `delete`: a filter. */
  readonly to?: string & readonly string[];
}

const defaultLimit = 1000;
/** Releasing writes each message anew, and the socket does not wait for long. */
const idsAtOnce = { release: 20, delete: 500 } as const;
const actTimeoutMs = 120_000;
const pieceBytes = 512 * 1024;

export function addQuarantineCommands(program: Command, add: Add, { cwd, output, input }: Surroundings): void {
  const quarantine = program.command("quarantine").description("mail that was put aside");
  addFilters(add(quarantine, "list", "messages in the quarantine of the running gateway, newest first"))
    .option("--limit <n>", `at most so many; ${defaultLimit} unless given`, readCount)
    .action(async (options: ListOptions) => {
      const { limit = defaultLimit } = options;
      const listed: QuarantineListing[] = [];
      for await (const page of pages(await directoryOf(options), queryOf(options, Date.now()), limit))
        listed.push(...page);
      print(output, options.json, listed, () => formatListing(listed));
    });
  add(quarantine, "show <id>", "envelope, reason and header fields of a message")
    .option("--raw", "the whole message, as it is, on standard output")
    .action(async (id: string, options: ShowOptions) => {
      const directory = await directoryOf(options);
      if (options.raw === true) return writeRaw(directory, id, options, output);
      const message = await askAbout<QuarantinedMessage>(directory, "show", { id });
      print(output, options.json, message, () => formatMessage(message));
    });
  const release = add(quarantine, "release [ids...]", "put messages into the queue, to be delivered")
    .option("--to <address>", "to this address in place of their recipients; may be said several times", several)
    .option("--for <text>", "with --all: those with this in a recipient's address");
  actOn(release, "release", "Released", "to");
  actOn(add(quarantine, "delete [ids...]", "delete messages for good; nobody is told"), "delete", "Deleted");
  for (const name of ["verify", "salvage"] as const) {
    const description = {
      verify: "read every octet of a quarantine that no gateway runs on; change nothing",
      salvage: "make a damaged quarantine a sound one; keep aside what cannot be read",
    }[name];
    add(quarantine, name, description).action(async (options: ConfigOptions) => {
      const { config } = await loadRequired(options, cwd);
      await (await import("./queue.ts"))[name](config, "quarantine", options.json, output);
    });
  }

  function actOn(command: Command, name: "release" | "delete", done: string, taken?: "to"): void {
    addFilters(command, taken)
      // A guess at a filter chooses other messages: whoever follows it here has lost them.
      .showSuggestionAfterError(false)
      .option("--all", "all that fit the filters; all there are without any")
      .option("--yes", "with --all: do not ask")
      .action(async (ids: readonly string[], options: ActOptions & { readonly for?: string }) => {
        const to = taken === undefined ? undefined : (options.to as readonly string[] | undefined);
        const filters: FilterOptions = taken === undefined ? options : { ...options, to: options.for };
        if (ids.length > 0 === (options.all === true)) throw new UsageError(`name ids, or say --all`);
        if (options.all !== true && isFiltered(filters)) throw new UsageError("filters go with --all");
        const directory = await directoryOf(options);
        const chosen = options.all === true ? await choose(directory, filters) : ids;
        if (options.all === true && options.yes !== true && chosen.length > 0) {
          const question = `${name} ${chosen.length} ${chosen.length === 1 ? "message" : "messages"}?`;
          if (!(await confirm(question, output, input))) throw new UsageError("nothing was done");
        }
        const acted = await act(directory, name, chosen, to === undefined ? {} : { to });
        tellActed(acted, done, output, options.json);
      });
  }

  async function directoryOf(options: ConfigOptions): Promise<string> {
    return (await loadRequired(options, cwd)).config.control.directory;
  }
}

async function choose(directory: string, filters: FilterOptions): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const page of pages(directory, queryOf(filters, Date.now()), Infinity))
    ids.push(...page.map(({ id }) => id));
  return ids;
}

async function act(
  directory: string,
  name: keyof typeof idsAtOnce,
  ids: readonly string[],
  more: object,
): Promise<Acted> {
  const { queued = [], ...acted } = await actOnEach(ids, idsAtOnce[name], (args) =>
    askControl(directory, { command: `quarantine ${name}`, args: { ...args, ...more } }, { timeoutMs: actTimeoutMs }),
  );
  return name === "release" ? { ...acted, queued } : acted;
}

/** A message is read a piece at a time, and what is hostile in it is for no terminal. */
async function writeRaw(directory: string, id: string, { json }: ShowOptions, output: Output): Promise<void> {
  if (json === true) throw new UsageError("--raw is the message itself; it goes without --json");
  if (output.toTerminal === true || output.octets === undefined) {
    throw new UsageError("--raw is not for a terminal: send it to a file or a program");
  }
  for (let from = 0; ;) {
    const args = { id, from, length: pieceBytes };
    const { sizeBytes, octets } = await askAbout<{ sizeBytes: number; octets: string }>(directory, "read", args);
    const piece = Buffer.from(octets, "base64");
    await output.octets(piece);
    from += piece.length;
    if (from >= sizeBytes) return;
    if (piece.length === 0)
      throw new CommandError(`message ${id} ends before its end`, exitCodes.software, "STORE_DAMAGED");
  }
}

/** About one message: that it is not there is a status of its own. */
async function askAbout<T>(directory: string, name: string, args: { readonly id: string }): Promise<T> {
  try {
    return (await askControl(directory, { command: `quarantine ${name}`, args })) as T;
  } catch (error) {
    const { message, cause } = error as PosternError;
    if ((cause as { code?: string } | undefined)?.code !== "CONFIG_INVALID") throw error;
    throw new CommandError(message, exitCodes.data, "MESSAGE_UNKNOWN");
  }
}

function several(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
