/** The config of `npm start`: a gateway to try things with, harmless to have running. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { resolveConfig, type Config, type LoadedConfig } from "@postern/core";

export const embeddedDomain = "example.test";

const written = {
  hostname: "localhost.localdomain",
  domains: { virtualMailbox: [embeddedDomain] },
  listeners: [{ host: "127.0.0.1", port: 2525 }],
  plugins: [
    "@postern/plugin-access",
    "@postern/plugin-transport-smtp",
    ["@postern/plugin-transport-maildir", { directory: "./var/mail" }],
  ],
  policy: { rcpt: ["permit_mynetworks", "reject_unauth_destination"] },
  queue: { directory: "./var/queue" },
} satisfies Config;

/** Its paths are below `directory`, the current one. */
export function embeddedConfig(directory: string): LoadedConfig {
  const file = join(directory, "(embedded)");
  return { file, written, config: resolveConfig(written, { file }) };
}

/** The folder in which the embedded config's folders are made. */
export function makeEmbeddedFolder(directory: string): void {
  mkdirSync(join(directory, "var"), { recursive: true });
}
