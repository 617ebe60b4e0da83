/** `postern hooks`, `words` and `plugin list`. Without a config the first two tell of the plugins of this project. */
import type { LoadedConfig } from "@postern/core";
import { loadIfFound, type ConfigOptions } from "../config-source.ts";
import { firstPartyListing } from "../first-party.ts";
import { formatArgs } from "../format-args.ts";
import { inspect, type Inspection, type Provided } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { formatColumns, print, type Output } from "../output.ts";

async function inspection(options: ConfigOptions, cwd: string): Promise<Inspection> {
  const loaded = await loadIfFound(options, cwd);
  return loaded === undefined ? firstPartyListing() : namingFile(loaded.file, () => inspect(loaded.config));
}

export async function listHookPoints(options: ConfigOptions, cwd: string, output: Output): Promise<void> {
  const { hooks } = await inspection(options, cwd);
  print(output, options.json, hooks, () =>
    formatColumns([
      ["HOOK", "KIND", "ARGUMENTS", "TAPPED BY"],
      ...hooks.map(({ name, kind, args, taps }) => [
        name,
        kind,
        args.join(", "),
        taps.map(({ owner, place }) => `${owner} (${place})`).join(", ") || "-",
      ]),
    ]),
  );
}

export async function listWords(options: ConfigOptions, cwd: string, output: Output): Promise<void> {
  const { words } = await inspection(options, cwd);
  print(output, options.json, words, () =>
    formatColumns([
      ["WORD", "ARGUMENTS", "STAGES", "PLUGIN", "MEANING"],
      ...words.map(({ name, args, stages, plugin, description }) => [
        name,
        formatArgs(args) || "-",
        stages.length === 7 ? "all" : stages.join(" "),
        plugin,
        description,
      ]),
    ]),
  );
}

export async function listPlugins({ config }: LoadedConfig, json: boolean | undefined, output: Output): Promise<void> {
  const { plugins, hooks, words, transports, scanners, rewriters, authenticators, tables } = await namingFile(
    config.file,
    () => inspect(config),
  );
  const of = (owner: string, listed: readonly Provided[]): readonly string[] =>
    listed.filter(({ plugin }) => plugin === owner).map(({ name }) => name);
  const listing = plugins.map(({ name, definition, specifier, file, owner }) => ({
    name,
    plugin: definition.name,
    specifier,
    file,
    apiVersion: definition.apiVersion,
    onError: owner.onError,
    deadlineMs: owner.deadlineMs,
    words: of(name, words),
    hooks: hooks.filter(({ taps }) => taps.some((tap) => tap.owner === name)).map((hook) => hook.name),
    transports: of(name, transports),
    scanners: of(name, scanners),
    rewriters: of(name, rewriters),
    authenticators: of(name, authenticators),
    tables: of(name, tables),
  }));
  print(output, json, listing, () =>
    formatColumns([
      ["NAME", "FROM", "ON ERROR", "BRINGS"],
      ...listing.map((one) => [
        one.name,
        one.specifier,
        typeof one.onError === "string" ? one.onError : JSON.stringify(one.onError),
        [
          ...one.transports.map((transport) => `transport ${transport}`),
          ...one.scanners.map((scanner) => `scanner ${scanner}`),
          ...one.rewriters.map((rewriter) => `rewriter ${rewriter}`),
          ...one.authenticators.map((authenticator) => `authenticator ${authenticator}`),
          ...one.tables.map((type) => `table ${type}`),
          ...one.words,
          ...one.hooks,
        ].join(", ") || "-",
      ]),
    ]),
  );
}
