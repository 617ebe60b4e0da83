/** `static:text`: every key has this value. */
import { ConfigError } from "../errors.ts";
import { withoutBraces } from "./split-words.ts";
import type { TableType } from "./table.ts";

export const staticType: TableType = Object.freeze({
  type: "static",
  description: "The same value for every key.",
  open(name: string) {
    const value = withoutBraces(name);
    if (value === "") throw new ConfigError('table "static:" needs the value after the colon');
    const entry = { key: "*", value };
    return {
      type: "static",
      name,
      kind: "indexed" as const,
      trusted: true,
      lookup: () => value,
      entries: () => [entry],
      locate: (key: string) => ({ key, value }),
      close: () => Promise.resolve(),
    };
  },
});
