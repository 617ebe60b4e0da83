/**
 * State that outlives a message and may be lost without losing mail: greylist triplets, counters, leases, caches. Every entry
 * expires. Stores differ only in where entries are; limits, JSON and lifetimes are the same for all. May know nobody who
 * uses it, and may not hold what a message's fate depends on: that is the queue's.
 */
export type * from "./state-store.ts";
export type { Entry } from "./entry-table.ts";
export type { RemoteEntries } from "./remote-entries.ts";
export { createRemoteStateStore } from "./remote-state-store.ts";
export { createMemoryStateStore, type MemoryStateStoreOptions } from "./memory-state-store.ts";
export { openSqliteStateStore, type SqliteStateStoreOptions } from "./sqlite-state-store.ts";
export { OverlaySpace } from "./overlay-space.ts";
export { openStateReader, type StateReader } from "./sqlite-reader.ts";
