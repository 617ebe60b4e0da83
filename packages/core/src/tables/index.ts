/**
 * Lookup tables: the contract, the types that are in core, opening and closing, search orders. May not know a backend:
 * databases and pattern files are plugins.
 */
export * from "./check-entries.ts";
export * from "./database/index.ts";
export * from "./find.ts";
export * from "./fold.ts";
export * from "./forms.ts";
export type { LookupObserver, LookupResult } from "./guarded-table.ts";
export * from "./logical-lines.ts";
export * from "./match-flavours.ts";
export * from "./match-list.ts";
export * from "./memory-table.ts";
export * from "./registry.ts";
export * from "./search-order.ts";
export * from "./split-words.ts";
export * from "./table-file.ts";
export { isTableName } from "./table-spec.ts";
export * from "./table.ts";
