/** `unix:passwd.byname` and `unix:group.byname`: the system's users and groups, by exact name. */
import { stat, readFile } from "node:fs/promises";
import { ConfigError, type LookupTable, type MaybePromise, type TableScope } from "@postern/core";
import { BrokenFile, TornRead } from "../follow/broken-file.ts";
import { FollowedFile } from "../follow/followed-file.ts";
import { asksElsewhere, NameService } from "./name-service.ts";
import { group, passwd, readSystemFile, type SystemFile } from "./system-file.ts";

const files: ReadonlyMap<string, SystemFile> = new Map([
  ["passwd.byname", passwd],
  ["group.byname", group],
]);

export async function openUnix(name: string, scope: TableScope): Promise<LookupTable> {
  const file = files.get(name);
  if (file === undefined) throw new ConfigError(`table unix:${name}: there are passwd.byname and group.byname`);
  const elsewhere = (await asksElsewhere(file.database)) ? new NameService(`unix:${name}`, file.database) : undefined;
  return openSystemTable(name, file, elsewhere, scope);
}

export async function openSystemTable(
  name: string,
  file: SystemFile,
  elsewhere: Pick<NameService, "ask" | "close"> | undefined,
  scope: Pick<TableScope, "clock" | "warn">,
): Promise<LookupTable> {
  const { path } = file;
  const followed = await FollowedFile.open({
    path,
    label: `unix:${name}`,
    scope,
    load: () => load(file),
    settles: true,
  });
  return Object.freeze({
    type: "unix",
    name,
    kind: "indexed" as const,
    trusted: true,
    lookup(key: string): MaybePromise<string | undefined> {
      return followed.current.get(key)?.line ?? elsewhere?.ask(key);
    },
    *entries() {
      for (const [key, { line, number }] of followed.current) yield { file: path, line: number, key, value: line };
    },
    locate(key: string) {
      const found = followed.current.get(key);
      return found === undefined ? undefined : { file: path, line: found.number, key, value: found.line };
    },
    async close() {
      elsewhere?.close();
      await followed.close();
    },
  });
}

async function load(file: SystemFile): Promise<ReadonlyMap<string, { line: string; number: number }>> {
  const before = await stat(file.path, { bigint: true });
  const text = await readFile(file.path, "utf8");
  const after = await stat(file.path, { bigint: true });
  if (before.ino !== after.ino || before.size !== after.size || before.mtimeNs !== after.mtimeNs) throw new TornRead();
  const lines = readSystemFile(text, file);
  if (lines.size === 0) throw new BrokenFile("not one of its lines is an entry");
  return lines;
}
