/**
 * The reference pages, made from the objects that the code runs on. Run as a program with the folder of the packages as its argument
 * it prints `{ file: markdown }` as JSON; `scripts/docs.js` writes or compares them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  configSchema,
  errorCatalogue,
  hostOptions,
  importPlugin,
  listSchemaOptions,
  resolvePlugin,
  searchOrders,
  type PluginDefinition,
  type SchemaOption,
} from "@postern/core";
import { listTableTypes } from "./commands/table-list.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { formatArgs } from "./format-args.ts";
import { firstPartyListing } from "./first-party.ts";

const generated = "<!-- Generated from the code by scripts/docs.js; edits here are lost. -->";

interface PluginPage {
  readonly packageName: string;
  readonly description: string;
  readonly definition: PluginDefinition;
}

export async function referencePages(packages: string): Promise<Readonly<Record<string, string>>> {
  const plugins = await loadPlugins(packages);
  return {
    "docs/reference/hooks.md": await hooksPage(),
    "docs/reference/words.md": await wordsPage(),
    "docs/reference/options.md": optionsPage(plugins),
    "docs/reference/errors.md": errorsPage(),
    "docs/reference/config.md": configPage(),
    "docs/reference/tables.md": await tablesPage(packages),
    ...Object.fromEntries(
      plugins.map((plugin) => [`packages/${plugin.packageName.split("/")[1]}/README.md`, readme(plugin, packages)]),
    ),
  };
}

async function loadPlugins(packages: string): Promise<readonly PluginPage[]> {
  const names = readdirSync(packages).filter((name) => name.startsWith("plugin-"));
  const pages: PluginPage[] = [];
  for (const name of names.toSorted()) {
    const manifest = JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8")) as {
      name: string;
      description: string;
    };
    const file = resolvePlugin(manifest.name, [packages]);
    const definition = await importPlugin(file, false, { uid: undefined });
    pages.push({ packageName: manifest.name, description: manifest.description, definition });
  }
  return pages;
}

async function hooksPage(): Promise<string> {
  const { hooks } = await firstPartyListing();
  const sections = hooks.map(
    ({ name, kind, args, doc }) =>
      `## ${name}\n\n*${kind}* (${args.map((arg) => `\`${arg}\``).join(", ")})\n\n${doc}\n`,
  );
  return page(
    "Hooks",
    `In the order of a message's way. \`first\`: a decision, the first objection wins, and no hook permits. \`pipe\`: a value passed on,
changed. \`report\`: told, never waited for. A tap runs with its plugin's deadline, and a failure is answered by its \`onError\`.
\`postern hooks\` shows who taps each, in order.`,
    sections.join("\n"),
  );
}

async function wordsPage(): Promise<string> {
  const { words } = await firstPartyListing();
  const rows = words.map(({ name, plugin, stages, args, authorizes, description }) => [
    `\`${name}\``,
    plugin,
    stages.join(", "),
    formatArgs(args) === "" ? "" : `\`${formatArgs(args)}\``,
    authorizes.join(", "),
    description,
  ]);
  return page(
    "Words",
    `The restriction words of the language itself and of the plugins of this project, as they stand in the lists of \`policy\`.
*Authorizes* names the lists in which the word's permit satisfies the relay guard. \`postern words\` shows those of a config.`,
    table(["Word", "Plugin", "Stages", "Arguments", "Authorizes", "Meaning"], rows),
  );
}

async function tablesPage(packages: string): Promise<string> {
  const refuse = (message: string): never => {
    throw new Error(message);
  };
  const types = await listTableTypes(packages, undefined, refuse);
  const rows = types.map(({ type, provider, description, error }) => {
    if (error !== undefined) refuse(`table type ${type}: ${error}`);
    return [
      `\`${type}\``,
      provider === "core" ? "core" : `[${provider}](../../packages/${folderOf(provider)})`,
      description,
    ];
  });
  const orders = Object.entries(searchOrders).map(([name, { key, tables }]) => [`\`${name}\``, key, tables]);
  return page(
    "Tables",
    `The table types of core and of the packages of this project. A package is loaded when one of its types is first used; its README has
the parameters. \`postern table list\` shows those that can be had, [tables](../tables.md) tells how they are written.`,
    `${table(["Type", "From", "Meaning"], rows)}

## Search orders

For \`postern table query --as\`.

${table(["Order", "Asked for", "Tables"], orders)}`,
  );
}

/** Of a package's name, below `packages`. */
const folderOf = (name: string): string => name.split("/")[1] ?? name;

function optionsPage(plugins: readonly PluginPage[]): string {
  const sections = plugins.map(
    ({ packageName, description, definition }) =>
      `## ${packageName}\n\n${description}\n\n${optionTable(listSchemaOptions(definition.options))}\n`,
  );
  return page(
    "Options of plugins",
    "An entry of `plugins` is a name, or a name with options. These keys are the host's and stand in any entry:",
    [optionTable(listSchemaOptions(hostOptions)), ...sections].join("\n\n"),
  );
}

function errorsPage(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { temporary, doc }]) => [
    `\`${code}\``,
    temporary ? "yes" : "no",
    String(exitCodeOf(code as keyof typeof errorCatalogue, undefined)),
    doc,
  ]);
  return page(
    "Errors",
    `The codes of \`PosternError\`, as they stand in the log and in \`--json\`. *Temporary*: trying again may help. *Status*: what a command
ends with, of sysexits.h; a wrong command line is 64, a missing permission 77. A peer never sees any of this.`,
    table(["Code", "Temporary", "Status", "Meaning"], rows),
  );
}

function configPage(): string {
  return page(
    "Config",
    `\`postern.config.{ts,js,json,yaml}\`, typed by \`defineConfig\` of \`@postern/core\`. A *duration* is \`"90s"\`, \`"5m"\`, \`"1h30m"\` (ms, s, m,
h, d, w); a *size* is \`"512KB"\`, \`"25MB"\` (powers of 1,024); a *path* is resolved from the config's folder. An unknown key is an error.`,
    optionTable(listSchemaOptions(configSchema)),
  );
}

/** Kept as it is but for the table between the marks; made when there is none yet. */
function readme({ packageName, description, definition }: PluginPage, packages: string): string {
  const path = join(packages, packageName.split("/")[1] ?? "", "README.md");
  const begin = "<!-- options: generated from the code by scripts/docs.js -->";
  const end = "<!-- /options -->";
  const options = `${begin}\n\n${optionTable(listSchemaOptions(definition.options))}\n\n${end}`;
  let present: string;
  try {
    present = readFileSync(path, "utf8");
  } catch {
    present = `# ${packageName}\n\n${description}\n\n\`\`\`sh\nnpm install ${packageName}\n\`\`\`\n\n## Options\n\n${begin}\n${end}\n`;
  }
  const from = present.indexOf(begin);
  const to = present.indexOf(end);
  if (from < 0 || to < from) return `${present.trimEnd()}\n\n## Options\n\n${options}\n`;
  return present.slice(0, from) + options + present.slice(to + end.length);
}

function optionTable(options: readonly SchemaOption[]): string {
  if (options.length === 0) return "No options.";
  const rows = options.map(({ path, type, default: standard, required, description }) => [
    `\`${path}\``,
    type,
    standard === undefined ? (required ? "required" : "") : `\`${JSON.stringify(standard)}\``,
    description,
  ]);
  return table(["Key", "Type", "Default", "Meaning"], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function page(title: string, introduction: string, body: string): string {
  return `# ${title}\n\n${generated}\n\n${introduction}\n\n${body}\n`;
}

const [, program, packages] = process.argv;
if (import.meta.main && program !== undefined && packages !== undefined) {
  process.stdout.write(JSON.stringify(await referencePages(packages)));
}
