/** `texthash:file`: a text file in postmap's format, read once. Changes are seen by the next generation. */
import { resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import { createMemoryTable } from "./memory-table.ts";
import { readTableFile } from "./table-file.ts";
import { refuseParameters } from "./table-object.ts";
import type { TableType } from "./table.ts";

export const texthashType: TableType = Object.freeze<TableType>({
  type: "texthash",
  description: "A text file of keys and values in postmap's format, read when the gateway starts.",
  async open(name, scope, parameters) {
    refuseParameters(name === "" ? "texthash" : `texthash:${name}`, parameters);
    if (name === "") throw new ConfigError('table "texthash:" needs a file name');
    const entries = await readTableFile(resolve(scope.directory, name), {
      label: `texthash:${name}`,
      warn: (text) => scope.warn(text),
    });
    return createMemoryTable("texthash", name, entries);
  },
  // Read as it is written.
  build: () => ({}),
});
