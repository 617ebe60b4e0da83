/**
 * `environ:any`: the process's environment. Keys come folded, as in Postfix: only variables with a name in lower case are found.
 */
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableType } from "./table.ts";

export function createEnviron(environment: Readonly<Record<string, string | undefined>>): TableType {
  const find = (key: string): string | undefined => {
    // NUL and "=" cannot stand in a name; an empty variable is as good as none.
    const value = Object.hasOwn(environment, key) ? environment[key] : undefined;
    return value === "" ? undefined : value;
  };
  return {
    type: "environ",
    description: "Variables of the environment whose names are in lower case.",
    open(name, _scope, parameters): LookupTable {
      refuseParameters(`environ:${name}`, parameters);
      return {
        type: "environ",
        name,
        kind: "indexed",
        trusted: true,
        lookup: find,
        locate(key) {
          const value = find(key);
          return value === undefined ? undefined : { key, value };
        },
        close: () => Promise.resolve(),
      };
    },
  };
}
