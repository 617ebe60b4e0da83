/** The state store: what outlives a process and may be lost without losing mail. It knows nothing of mail. */
export type * from "./state-store.ts";
export { createMemoryState, type MemoryStateOptions } from "./memory-state.ts";
export { openSqliteState, type SqliteStateOptions } from "./sqlite-state.ts";
export { stateStoreCases, type StateStoreCase } from "./state-suite.ts";
