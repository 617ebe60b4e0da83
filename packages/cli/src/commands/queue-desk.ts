/** `postern queue list`, `hold`, `release` and `remove`: single messages of the running gateway's queue. */
import { askControl, type QueueListing } from "@postern/core";
import { InvalidArgumentError, type Command } from "commander";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import { UsageError } from "../failure.ts";
import { formatColumns, print } from "../output.ts";
import type { Surroundings } from "../program.ts";
import { actOnEach, tellActed } from "./acting.ts";

type Add = (parent: Command, name: string, description: string) => Command;

interface ListOptions extends ConfigOptions {
  readonly held?: boolean;
  readonly limit?: number;
}

interface ActOptions extends ConfigOptions {
  readonly held?: boolean;
}

const idsAtOnce = 500;
const mostListed = 100_000;

export function addQueueCommands(queue: Command, add: Add, { cwd, output }: Surroundings): void {
  add(queue, "list", "messages in the queue of the running gateway")
    .option("--held", "only those on hold")
    .option("--limit <n>", "at most so many; 1000 unless given", count)
    .action(async (options: ListOptions) => {
      const listed = await list(await directoryOf(options), options);
      print(output, options.json, listed, () => formatListing(listed));
    });
  act("hold", "begin nothing more of these messages", "Held");
  act("release", "let messages on hold be delivered", "Released", true);
  act("remove", "delete messages for good; nobody is told", "Removed");

  function act(name: string, description: string, done: string, allHeld = false): void {
    const command = add(queue, allHeld ? `${name} [ids...]` : `${name} <ids...>`, description);
    if (allHeld) command.option("--held", "all that are on hold");
    command.action(async (ids: readonly string[], options: ActOptions) => {
      if (ids.length === 0 && options.held !== true) throw new UsageError(`name queue ids, or say --held`);
      const directory = await directoryOf(options);
      const chosen = options.held === true ? (await list(directory, { held: true, limit: mostListed })).map(idOf) : ids;
      const acted = await actOnEach(chosen, idsAtOnce, (args) =>
        askControl(directory, { command: `queue ${name}`, args }),
      );
      tellActed(acted, done, output, options.json);
    });
  }

  async function directoryOf(options: ConfigOptions): Promise<string> {
    return (await loadRequired(options, cwd)).config.control.directory;
  }
}

const idOf = ({ id }: QueueListing): string => id;

async function list(directory: string, { held, limit }: ListOptions): Promise<readonly QueueListing[]> {
  const args = { ...(held === true && { heldOnly: true }), ...(limit !== undefined && { limit }) };
  return (await askControl(directory, { command: "queue list", args })) as readonly QueueListing[];
}

function formatListing(listed: readonly QueueListing[]): string {
  if (listed.length === 0) return "The queue is empty\n";
  return formatColumns([
    ["ID", "STATE", "ARRIVED", "SIZE", "SENDER", "RECIPIENTS", "WHY"],
    ...listed.map(({ id, state, arrivedAt, sizeBytes, sender, recipients, recipientCount, reason = "" }) => {
      const [first = "-"] = recipients;
      const others = recipientCount > 1 ? ` and ${recipientCount - 1} more` : "";
      const arrived = new Date(arrivedAt).toISOString().slice(0, 19);
      return [id, state, `${arrived}Z`, String(sizeBytes), `<${sender}>`, `<${first}>${others}`, reason];
    }),
  ]);
}

function count(value: string): number {
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostListed)
    throw new InvalidArgumentError(`It is a number from 1 to ${mostListed}.`);
  return limit;
}
