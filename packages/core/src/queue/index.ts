/**
 * The queue: the store that answers for a message from 250 until its last recipient is settled, and the scheduler that says what is
 * tried when. It knows nothing of SMTP, routes or transports; `delivery/` executes its commands.
 */
export type * from "./schedule-events.ts";
export type * from "./store.ts";
export { onHold } from "./store.ts";
export * from "./retry.ts";
export { Scheduler, schedulerDefaults, type SchedulerOptions } from "./scheduler.ts";
export { concurrencyDefaults, type ConcurrencyOptions } from "./destination.ts";
export { createMemoryStore, type MemoryStoreOptions } from "./memory-store.ts";
export { createSegmentStore, segmentStoreDefaults, type SegmentStoreOptions } from "./segment-store.ts";
export type { FileLock, FilePort, PortFile } from "./file-port.ts";
export { nodeFilePort } from "./node-file-port.ts";
export { verifyQueue, type VerifyReport } from "./verify-queue.ts";
export { type KeptAside, salvageQueue, type SalvageReport } from "./salvage-queue.ts";
