/** Looks into the SQLite file of a gateway that may be running, and changes nothing in it. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Clock } from "../model/clock.ts";
import type { StateSpace, StateValue } from "./state-store.ts";
import { storeFault } from "./store-fault.ts";
import { decodeFound, decodeValue } from "./values.ts";

export interface StateReader {
  space<V extends StateValue>(name: string): Pick<StateSpace<V>, "get" | "scan">;
  close(): void;
}

/** `undefined` when there is no file. Throws STORE_UNAVAILABLE when it cannot be read. */
export function openStateReader(directory: string, clock: Pick<Clock, "now">): StateReader | undefined {
  const path = join(resolve(directory), "state.sqlite");
  const sqlite = process.getBuiltinModule("node:sqlite");
  if (sqlite === undefined || !existsSync(path)) return undefined;
  const open = () => {
    const database = new sqlite.DatabaseSync(path, { readOnly: true, timeout: 1000 });
    const get = database.prepare("SELECT value FROM entries WHERE space = ? AND key = ? AND expires_at > ?");
    // No octet of UTF-8 is FF, so the prefix with FF behind it stands after all that begins with it.
    const scan = database.prepare(
      `SELECT key, value FROM entries
       WHERE space = ? AND key >= ? AND key < CAST(? AS TEXT) AND expires_at > ? ORDER BY key LIMIT ?`,
    );
    return { database, get, scan };
  };
  const guarded = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw storeFault(error);
    }
  };
  const { database, get, scan } = guarded(open);
  return {
    space: <V extends StateValue>(name: string) => ({
      get(key: string): V | undefined {
        const row = guarded(() => get.get(name, key, clock.now())) as { value: string } | undefined;
        return row === undefined ? undefined : (decodeValue(row.value) as V | undefined);
      },
      scan(prefix: string, limit: number): readonly (readonly [key: string, value: V])[] {
        const end = Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)]);
        const rows = guarded(() => scan.all(name, prefix, end, clock.now(), limit));
        return decodeFound(
          (rows as unknown as { key: string; value: string }[]).map(({ key, value }) => [key, value]),
        ) as readonly (readonly [string, V])[];
      },
    }),
    close: () => database.close(),
  };
}
