/** `postern check`: all that a start does up to listening, then all of it closed again. */
import { checkConfig, checkFolders, type LoadedConfig, type ResolvedConfig } from "@postern/core";
import { ownFolder } from "../inspection.ts";
import { namingFile } from "../naming-file.ts";
import { print, type Output } from "../output.ts";

export async function check({ file, config }: LoadedConfig, json: boolean | undefined, output: Output): Promise<void> {
  const warnings: string[] = [];
  const log = (level: string, text: string): void => void (level === "warn" && warnings.push(text));
  const { transports } = await namingFile(file, () => checkConfig(config, { searchFrom: [ownFolder], log }));
  checkFolders(config);
  warnings.push(...findMissingTransports(config, new Set(transports.map(({ name }) => name))));
  print(output, json, { ok: true, file, warnings }, () => `${file} is right\n`);
  if (json !== true) for (const warning of warnings) output.warn(`postern: warning: ${warning}\n`);
}

/** Mail for which nobody would come: it would wait in the queue until its sender is told. */
function findMissingTransports({ domains }: ResolvedConfig, present: ReadonlySet<string>): readonly string[] {
  const needsMaildir = [domains.local, domains.virtualMailbox].some(
    ({ domains: given }) => !Array.isArray(given) || given.length > 0,
  );
  const wanted: readonly (readonly [transport: string, mail: string, isNeeded: boolean])[] = [
    ["maildir", "mail for domains.local and domains.virtualMailbox", needsMaildir],
    ["smtp", "mail for other domains", true],
  ];
  return wanted
    .filter(([transport, , isNeeded]) => isNeeded && !present.has(transport))
    .map(([transport, mail]) => `no plugin provides the transport "${transport}": ${mail} will wait`);
}
