/** State in a SQLite file: outlives the process, may be shared by processes of one machine, and heals itself by beginning anew. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../model/clock.ts";
import { isSound, openFile, prepareFile, setAside } from "./sqlite-file.ts";
import { LazyEntries } from "./lazy-entries.ts";
import { SqliteCheckpointer } from "./sqlite-checkpointer.ts";
import { SqliteEntries } from "./sqlite-entries.ts";
import type { StateStore } from "./state-store.ts";
import { isDamage } from "./store-fault.ts";
import { TableSpace } from "./table-space.ts";

export interface SqliteStateStoreOptions {
  /** Made (0700) if its parent exists. The file in it is `state.sqlite` (0600). */
  readonly directory: string;
  readonly clock: Pick<Clock, "now">;
  /** Gets one sentence for the log when the file was damaged and had to be begun anew. */
  readonly warn?: (message: string) => void;
  /** How long a call waits for another process's lock. The whole process waits: calls are synchronous. 250 ms, and only the first call. */
  readonly busyTimeoutMs?: number;
  /** The file grows no larger; what does not fit is STORE_UNAVAILABLE until a sweep makes room. 4 GiB. */
  readonly maxSizeBytes?: number;
}

/**
 * Opens or makes the file. Throws ConfigError when the folder cannot be used, STORE_UNAVAILABLE when the file cannot be opened
 * now. A damaged file, now or later, is renamed to `state.sqlite.damaged-<time>`.
 */
export function openSqliteStateStore(options: SqliteStateStoreOptions): StateStore {
  const { directory, clock, warn, busyTimeoutMs = 250, maxSizeBytes = 2 ** 32 } = options;
  const path = prepareFile(directory);
  const limits = { busyTimeoutMs, maxSizeBytes };

  const checkpointer = new SqliteCheckpointer(path);
  const entries = new SqliteEntries(
    (damaged) => {
      if (!damaged) return openFile(path, limits);
      // Another process may have begun anew already: the file that is there now may be in order.
      const sound = openIfSound();
      if (sound !== undefined) return sound;
      const aside = setAside(path, clock.now());
      warn?.(
        `the state store was damaged: it is set aside as ${aside}, and greylisting, counters and caches begin anew`,
      );
      prepareFile(directory);
      return openFile(path, limits);
    },
    busyTimeoutMs,
    (written) => checkpointer.wrote(written),
  );
  const lazyEntries = new LazyEntries(entries, () => checkpointer.isBusy);
  const lazySpaces = new Set<string>();

  function openIfSound(): ReturnType<typeof openFile> | undefined {
    let database: ReturnType<typeof openFile> | undefined;
    try {
      database = openFile(path, limits);
      if (isSound(database)) return database;
    } catch (error) {
      if (!isDamage(error)) {
        database?.close();
        throw error;
      }
    }
    database?.close();
  }

  async function sweepInTurns(now: number): Promise<number> {
    for (; lazyEntries.size > 0; await nextTurn()) lazyEntries.writeBatch();
    for (let total = 0; ; await nextTurn()) {
      const { removed, done } = entries.sweep(now);
      total += removed;
      if (done) return total;
    }
  }

  return Object.freeze<StateStore>({
    space(name, options) {
      // All who share a space must see the same.
      if (options?.lazy === true) lazySpaces.add(name);
      return new TableSpace(name, lazySpaces.has(name) ? lazyEntries : entries, clock, options);
    },
    sweep: () => sweepInTurns(clock.now()),
    close() {
      lazyEntries.close();
      checkpointer.close();
      entries.close();
    },
  });
}
