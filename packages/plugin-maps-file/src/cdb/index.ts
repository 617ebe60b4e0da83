/** The table type `cdb`, and the writer of its files. */
import { createDatabaseTable, type Database } from "../follow/database.ts";
import { openFollowed } from "../follow/open-followed.ts";
import type { TableType } from "@postern/core";
import { buildFromText } from "./build-from-text.ts";
import { openCdb } from "./cdb-file.ts";

export { buildCdb, type BuiltCdb, type CdbEntry } from "./build-cdb.ts";

export const types: readonly TableType[] = [
  {
    type: "cdb",
    description:
      "A cdb file as postmap or `postern table build` writes it, NAME.cdb; a new one is used within a second.",
    async open(name, scope) {
      const { file, path } = await openFollowed<Database>("cdb", name, scope, ".cdb", openCdb);
      return createDatabaseTable("cdb", name, file, path);
    },
    build: (name, scope) => buildFromText(name, scope),
  },
];
