/**
 * Which servers to ask, and how long to wait for each. A server that was silent several times in a row is asked last and
 * waited for only shortly, so that a dead one does not cost every session a deadline. It is never left out: names exist
 * whose own servers are dead, a recursive server is silent about those, and its next answer makes it a good one again.
 */
import type { NameServer } from "../address/name-server.ts";

/** Tries in a row without any answer after which a server counts as silent. */
const mostSilences = 3;
const shortWaitMs = 500;

export interface ServerOrder {
  /** In the order in which they are to be asked; silent ones last. */
  list(): readonly NameServer[];
  waitMs(server: NameServer): number;
  /** It answered, be it with a failure. */
  heard(server: NameServer): void;
  silent(server: NameServer): void;
}

export function createServerOrder(servers: readonly NameServer[], timeoutMs: number): ServerOrder {
  const silences = new Map<NameServer, number>();
  const isSilent = (server: NameServer): boolean => (silences.get(server) ?? 0) >= mostSilences;
  return {
    list() {
      if (silences.size === 0) return servers;
      return [...servers.filter((server) => !isSilent(server)), ...servers.filter(isSilent)];
    },
    waitMs: (server) => (isSilent(server) ? Math.min(timeoutMs, shortWaitMs) : timeoutMs),
    heard: (server) => void silences.delete(server),
    silent: (server) => void silences.set(server, (silences.get(server) ?? 0) + 1),
  };
}
