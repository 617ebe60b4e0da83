/** The plugins of this project, for listings without a config. What is not installed is left out. */
import { resolveConfig, resolvePlugin } from "@postern/core";
import { inspect, ownFolder, type Inspection } from "./inspection.ts";

const packages: readonly (readonly [name: string, options: Readonly<Record<string, unknown>>])[] = [
  ["@postern/plugin-access", {}],
  ["@postern/plugin-transport-smtp", {}],
  ["@postern/plugin-transport-maildir", { directory: "./mail" }],
  ["@postern/plugin-greylist", {}],
  ["@postern/plugin-policy", {}],
  ["@postern/plugin-auth", { passwords: "inline:{ nobody=! }" }],
  ["@postern/plugin-limits", {}],
  ["@postern/plugin-state-sql", { client: "pg", connection: { user: "postern", database: "mail" } }],
  ["@postern/plugin-av-clamd", { address: "127.0.0.1:3310", onError: "defer" }],
  ["@postern/plugin-rspamd", { address: "http://127.0.0.1:11333", onError: "defer" }],
  ["@postern/plugin-icap", { address: "icap://127.0.0.1/avscan", onError: "defer" }],
  ["@postern/plugin-filter", { commands: { filter: { argv: ["/usr/bin/filter"], user: "nobody" } } }],
  ["@postern/plugin-checks", { onError: "defer" }],
  ["@postern/plugin-spamassassin", { address: "127.0.0.1:783", onError: "defer" }],
];

export function firstPartyListing(): Promise<Inspection> {
  const plugins = packages.filter(([name]) => isInstalled(name)).map(([name, options]) => [name, options] as const);
  const written = {
    hostname: "localhost.localdomain",
    listeners: [{ host: "127.0.0.1", port: 0 }],
    queue: { directory: "./queue" },
    plugins,
  };
  return inspect(resolveConfig(written, { file: `${ownFolder}(none)` }));
}

function isInstalled(name: string): boolean {
  try {
    return resolvePlugin(name, [ownFolder]) !== "";
  } catch {
    return false;
  }
}
