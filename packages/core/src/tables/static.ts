/** `static:text`: every key has this value. */
import { ConfigError } from "../errors.ts";
import { isGrouped, withoutBraces } from "./split-words.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableType } from "./table.ts";

export const staticType: TableType = Object.freeze<TableType>({
  type: "static",
  description: "The same value for every key.",
  open(name, _scope, parameters): LookupTable {
    refuseParameters(`static:${name}`, parameters);
    if (name.startsWith("{") && !isGrouped(name)) {
      throw new ConfigError(`table static:${name}: a value in braces ends with the brace that it begins with`);
    }
    const value = withoutBraces(name);
    if (value === "") throw new ConfigError('table "static:" needs the value after the colon');
    const entry = { key: "*", value };
    return {
      type: "static",
      name,
      kind: "indexed",
      trusted: true,
      lookup: () => value,
      entries: () => [entry],
      locate: (key: string) => ({ key, value }),
      close: () => Promise.resolve(),
    };
  },
});
