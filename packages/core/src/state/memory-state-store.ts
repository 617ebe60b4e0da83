/** State in memory: gone with the process. For tests, and for gateways that greylist and count from the start at each start. */
import type { Clock } from "../model/clock.ts";
import { MemoryEntries } from "./memory-entries.ts";
import type { StateStore } from "./state-store.ts";
import { TableSpace } from "./table-space.ts";

export interface MemoryStateStoreOptions {
  readonly clock: Pick<Clock, "now">;
  /** Entries in all spaces together. Beyond it the largest space loses what was written longest ago. 5,000,000. */
  readonly maxEntries?: number;
  /** Characters of all keys and values together; beyond it likewise. 256 Mi. */
  readonly maxLength?: number;
}

export function createMemoryStateStore(options: MemoryStateStoreOptions): StateStore {
  const { clock, maxEntries = 5_000_000, maxLength = 256 * 1024 * 1024 } = options;
  const entries = new MemoryEntries(maxEntries, maxLength);
  return Object.freeze<StateStore>({
    space: (name, options) => new TableSpace(name, entries, clock, options),
    sweep: () => entries.sweep(clock.now()),
    close: () => entries.close(),
  });
}
