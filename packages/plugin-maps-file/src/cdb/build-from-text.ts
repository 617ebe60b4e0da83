/** `postern table build cdb:NAME`: NAME.cdb from the text NAME, in postmap's format. */
import { resolve } from "node:path";
import { readTableFile, type BuildScope, type BuiltTable } from "@postern/core";
import { buildCdb, type CdbEntry } from "./build-cdb.ts";

/** Entries from one word about the progress to the next. */
const stride = 100_000;

/** Wrong lines and keys that stand twice are told to `warn` and left out. Throws as `readTableFile` and `buildCdb` do. */
export async function buildFromText(name: string, scope: BuildScope): Promise<BuiltTable> {
  const source = resolve(scope.directory, name);
  const entries = await readTableFile(source, { label: `cdb:${name}`, warn: (text) => scope.warn(text) });
  const file = `${source}.cdb`;
  // What stands twice was told when the text was read, with its line.
  const { records } = await buildCdb(counted(entries.all(), scope), file);
  return { file, entries: records };
}

function* counted(entries: Iterable<CdbEntry>, scope: BuildScope): Generator<CdbEntry> {
  let count = 0;
  for (const entry of entries) {
    yield entry;
    count += 1;
    if (count % stride === 0) scope.progress(count);
  }
}
