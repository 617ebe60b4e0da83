// Configs of the explaining tests: real plugins, no port, no network.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveConfig, type Config, type ResolvedConfig } from "@postern/core";
import { onTestFinished } from "vitest";

/** Where the project's own packages are found. */
export const searchFrom = [fileURLToPath(new URL("../../packages/cli/src", import.meta.url))];

export const plain = {
  hostname: "mx.example.test",
  domains: {
    relay: {
      domains: ["example.test"],
      recipients: ["user@example.test", "postmaster@example.test", "abuse@example.test"],
    },
  },
  listeners: [{ name: "mx", host: "127.0.0.1", port: 0 }],
  queue: { directory: "./queue" },
  plugins: ["@postern/plugin-access", "@postern/plugin-transport-smtp"],
  policy: { rcpt: ["permit_mynetworks", "reject_unauth_destination"] },
  relayhost: "[127.0.0.1]:2526",
} satisfies Config;

/** A folder that goes with the test. */
export function folder(files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), "postern-explain-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "queue"), { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

export function configIn(directory: string, written: object): ResolvedConfig {
  return resolveConfig(written, { file: join(directory, "postern.config.json") });
}
