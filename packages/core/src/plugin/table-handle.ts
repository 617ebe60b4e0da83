/** A table in a plugin's hand: named in setup, opened before ready, closed with the generation. */
import { PluginError, TableUnavailable } from "../errors.ts";
import type { TableRegistry } from "../tables/registry.ts";
import type { LookupAsk, LookupTable, TablePurpose, TableSpec } from "../tables/table.ts";
import type { UsedTable } from "./gateway.ts";

export interface TableHandle {
  readonly used: UsedTable;
  /** Throws `ConfigError`. */
  open(tables: Pick<TableRegistry, "open">): Promise<void>;
}

export function createTableHandle(plugin: string, spec: TableSpec, purpose: TablePurpose): TableHandle {
  let table: LookupTable | undefined;
  const opened = (): LookupTable => {
    if (table === undefined) throw new PluginError(plugin, `table ${nameOf(spec)} is not open before ready`);
    return table;
  };
  const used: UsedTable = {
    get type() {
      return opened().type;
    },
    get name() {
      return opened().name;
    },
    get kind() {
      return opened().kind;
    },
    get trusted() {
      return opened().trusted;
    },
    lookup(key: string, ask?: LookupAsk) {
      if (table === undefined) throw new TableUnavailable(nameOf(spec), "it is not open before ready");
      return table.lookup(key, ask);
    },
    entries: () => opened().entries?.() ?? [],
    locate: (key: string) => opened().locate?.(key),
  };
  return {
    used: Object.freeze(used),
    async open(tables) {
      table = await tables.open(spec, purpose);
    },
  };
}

function nameOf(spec: TableSpec): string {
  return typeof spec === "string" ? spec : "inline";
}
