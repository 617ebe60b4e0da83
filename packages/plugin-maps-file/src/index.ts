/** Lookup tables in files: hash and btree from their text, cdb, lmdb, the system's users and groups, and pattern tables. */
import { definePlugin, type TableType } from "@postern/core";
import { z } from "zod";
import { types as cdb } from "./cdb/index.ts";
import { types as cidr } from "./cidr/index.ts";
import { types as lmdb } from "./lmdb/index.ts";
import { types as pattern } from "./pattern/index.ts";
import { types as text } from "./text/index.ts";
import { types as unix } from "./unix/index.ts";

export { buildCdb, type BuiltCdb, type CdbEntry } from "./cdb/index.ts";

/** In the order in which they are listed. */
export const tableTypes: readonly TableType[] = [...text, ...cdb, ...lmdb, ...pattern, ...cidr, ...unix];

export default definePlugin({
  name: "maps-file",
  apiVersion: 1,
  options: z.strictObject({}),
  setup(gateway) {
    for (const { type, open, description, build } of tableTypes)
      gateway.tables.register(type, open, description, build);
  },
});
