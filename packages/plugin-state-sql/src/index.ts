/**
 * The state store in MySQL, MariaDB or PostgreSQL: what plugins remember (greylists, counters, leases) is shared by all gateways that
 * name the same table.
 */
import { createRemoteStateStore, definePlugin, type StateStore } from "@postern/core";
import { dialectOf } from "./dialect.ts";
import { options, type Options } from "./options.ts";
import { Server, type ServerParts } from "./server.ts";
import { SqlEntries } from "./sql-entries.ts";

/** The store alone, for tests and tools; it connects at its first use. `prepare` does so now, makes the table, and tells the log when it cannot. */
export function openSqlStateStore(parts: ServerParts): StateStore & { prepare(): Promise<void> } {
  const { options: given, clock, log } = parts;
  const dialect = dialectOf(given.client, given.table);
  const warn = (text: string): void => log.warn(text);
  const server = new Server(parts);
  const entries = new SqlEntries({ server, dialect, now: () => clock.now(), warn });
  const prepare = (): Promise<void> =>
    entries.prepare().catch((error: Error) => {
      // A server that is down has said so already.
      if (!server.isDown) warn(error.message);
    });
  return Object.freeze({ ...createRemoteStateStore(entries, clock), prepare });
}

export { options, type Options, type ServerParts };

export default definePlugin({
  name: "state-sql",
  apiVersion: 1,
  options,
  setup(gateway, options) {
    const { directory, clock, log } = gateway;
    const store = openSqlStateStore({ options, directory, clock, log });
    gateway.stateStore(store);
    // A database that is down keeps no gateway from starting; the log has it.
    if (!gateway.dry) gateway.onReady(() => void store.prepare());
  },
});
