/** The table type `unix`. */
import type { TableType } from "@postern/core";
import { openUnix } from "./unix-table.ts";

export const types: readonly TableType[] = [
  {
    type: "unix",
    description: "The system's users and groups: unix:passwd.byname, unix:group.byname.",
    open: (name, scope) => openUnix(name, scope),
  },
];
