/** The table types `hash` and `btree`: the text file that Postfix's databases are built from, without the building. */
import type { TableType } from "@postern/core";
import { openText } from "./text-table.ts";

export const types: readonly TableType[] = (["hash", "btree"] as const).map((type) => ({
  type,
  description: "The text file NAME in postmap's format, no .db needed; a new version is used within a second.",
  open: (name, scope) => openText(type, name, scope),
  // Read as it is written.
  build: () => ({}),
}));
