/** The commands `postern table …`: their arguments and options. */
import { searchOrders, type SearchOrderName } from "@postern/core";
import { Option, type Command } from "commander";
import { loadRequired, type ConfigOptions } from "../config-source.ts";
import type { Surroundings } from "../program.ts";
import { expectShortLife } from "../short-lived.ts";
import type { QueryOptions } from "./table-query.ts";

type Add = (parent: Command, name: string, description: string) => Command;

export function addTableCommands(
  program: Command,
  add: Add,
  { cwd, output, input }: Surroundings,
  exit: (code: number) => void,
): void {
  const table = program.command("table").description("the tables").hook("preAction", expectShortLife);
  add(table, "query", "what a table answers: one key, several, or with - the lines of standard input")
    .argument("<table>", "type:name, from the current folder; or an object in JSON")
    .argument("<keys...>", "what is looked up")
    .addOption(new Option("--as <order>", "search as the gateway does for").choices(Object.keys(searchOrders)))
    .option("--recipient-delimiter <set>", "characters that begin an extension; the config's unless given")
    .option(
      "--local-domain <domain>",
      "a domain whose users are asked for by name alone; the config's unless given",
      collect,
    )
    .option("--client-name <name>", "with --as client: the name of the address")
    .option("--sender <address>", "with --as sasl-password: the sender")
    .option("--host <name>", "with --as sasl-password: the host that the next-hop led to")
    .option("--explain", "tell each key that is tried, where, and what it cost")
    .action(async (spec: string, keys: string[], options: QueryOptions & { as?: SearchOrderName }) => {
      const { queryTable } = await import("./table-query.ts");
      exit(await queryTable(spec, keys, options, { cwd, output, input: input ?? process.stdin }));
    });
  add(table, "check", "open every table of the config and ask it once").action(async (options: ConfigOptions) => {
    const { checkTables } = await import("./table-check.ts");
    exit(await checkTables(await loadRequired(options, cwd), options.json, output));
  });
  add(table, "build", "make the file of a table from its text, cdb:NAME")
    .argument("<tables...>", "type:name, from the current folder")
    .action(async (specs: string[], options: ConfigOptions) =>
      (await import("./table-build.ts")).buildTables(specs, options, cwd, output),
    );
  add(table, "list", "each table type and who brings it").action(async (options: ConfigOptions) =>
    (await import("./table-list.ts")).listTables(options, cwd, output),
  );
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
