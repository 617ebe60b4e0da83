/** `fail:any`: cannot be asked, ever. To try what a gateway does then. */
import { TableUnavailable } from "../errors.ts";
import { refuseParameters } from "./table-object.ts";
import type { LookupTable, TableType } from "./table.ts";

export const failType: TableType = Object.freeze<TableType>({
  type: "fail",
  description: "Cannot be asked: every lookup is a temporary error.",
  open(name, _scope, parameters): LookupTable {
    const label = `fail:${name}`;
    refuseParameters(label, parameters);
    return {
      type: "fail",
      name,
      kind: "pattern",
      trusted: true,
      lookup() {
        throw new TableUnavailable(label, "it always fails", { onlyThisKey: true });
      },
      close: () => Promise.resolve(),
    };
  },
});
