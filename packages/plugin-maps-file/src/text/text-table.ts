/** A text file of keys and values, held in memory and followed. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError, readTableFile, type LookupTable, type TableEntries, type TableScope } from "@postern/core";
import { BrokenFile, TornRead } from "../follow/broken-file.ts";
import { FollowedFile } from "../follow/followed-file.ts";

export async function openText(type: string, name: string, scope: TableScope): Promise<LookupTable> {
  if (name === "") throw new ConfigError(`table "${type}:" needs a file name`);
  const path = resolve(scope.directory, name);
  const label = `${type}:${name}`;
  if (await isBuiltOnly(path)) {
    throw new ConfigError(
      `table ${label}: there is ${path}.db but not its source ${path}; hash and btree are read from the text, ` +
        `which \`postmap -s ${label}\` prints`,
    );
  }
  const file = await FollowedFile.open<TableEntries>({
    path,
    label,
    scope,
    load: () => load(path, label, scope),
    settles: true,
  });
  return Object.freeze({
    type,
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup: (key: string) => file.current.get(key),
    entries: () => file.current.all(),
    locate: (key: string) => file.current.locate(key),
    close: () => file.close(),
  });
}

/** Throws `BrokenFile` when no line of it is an entry and some should be: that is no table any more. */
async function load(path: string, label: string, scope: TableScope): Promise<TableEntries> {
  const before = await stat(path, { bigint: true }).catch(() => undefined);
  if (before?.isFile() === false) throw new BrokenFile("it is no file");
  // Told when the version is taken: one that is thrown away says nothing of its lines.
  const warnings: string[] = [];
  const entries = await readTableFile(path, { label, warn: (message) => warnings.push(message) });
  const after = await stat(path, { bigint: true }).catch(() => undefined);
  if (
    before === undefined ||
    before.ino !== after?.ino ||
    before.size !== after.size ||
    before.mtimeNs !== after.mtimeNs
  ) {
    throw new TornRead();
  }
  if (entries.size === 0 && warnings.length > 0) {
    throw new BrokenFile(`not one of its lines is an entry (${warnings[0] ?? ""})`);
  }
  for (const warning of warnings) scope.warn(warning);
  return entries;
}

async function isBuiltOnly(path: string): Promise<boolean> {
  const exists = (name: string): Promise<boolean> =>
    stat(name).then(
      () => true,
      () => false,
    );
  return !(await exists(path)) && (await exists(`${path}.db`));
}
