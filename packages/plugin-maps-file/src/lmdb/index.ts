/** The table type `lmdb`. */
import { ConfigError, type TableType } from "@postern/core";
import { createDatabaseTable, type Database } from "../follow/database.ts";
import { openFollowed } from "../follow/open-followed.ts";
import { openLmdb } from "./lmdb-file.ts";

export const types: readonly TableType[] = [
  {
    type: "lmdb",
    description: "An LMDB file as Postfix's postmap writes it, NAME.lmdb; a new commit is used within a second.",
    async open(name, scope) {
      const { file, path } = await openFollowed<Database>("lmdb", name, scope, ".lmdb", openLmdb);
      return createDatabaseTable("lmdb", name, file, path);
    },
    build(name) {
      throw new ConfigError(`table lmdb:${name}: lmdb files are only read here; \`postmap lmdb:${name}\` makes them`);
    },
  },
];
