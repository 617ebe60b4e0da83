/** Several servers for one question: the first that can be reached is asked. One that could not be is asked last for a while. */
import { ScannerFailure, type Clock } from "@postern/core";

/** How long a server that could not be reached stands behind the others. */
const asideMs = 10_000;

export interface Servers<Server> {
  /** Calls `call` with one server after the other as long as they are `down`. Throws what the last one threw. */
  ask<T>(call: (server: Server) => Promise<T>): Promise<T>;
}

export function createServers<Server>(all: readonly Server[], clock: Clock): Servers<Server> {
  const asideUntil = new Map<Server, number>();

  function inOrder(): readonly Server[] {
    if (asideUntil.size === 0) return all;
    const now = clock.monotonic();
    const aside = (server: Server): boolean => (asideUntil.get(server) ?? 0) > now;
    return [...all.filter((server) => !aside(server)), ...all.filter(aside)];
  }

  return {
    async ask(call) {
      let last: unknown;
      for (const server of inOrder()) {
        try {
          const answer = await call(server);
          asideUntil.delete(server);
          return answer;
        } catch (error) {
          const lost = error instanceof ScannerFailure && error.reason === "down";
          if (lost || isTooSlow(error)) asideUntil.set(server, clock.monotonic() + asideMs);
          if (!lost) throw error; // after a deadline there is no time for another
          last = error;
        }
      }
      throw last;
    },
  };
}

/** The deadline passed; when the client is gone, too, a scan is called off, but that is not the server's fault. */
function isTooSlow(error: unknown): boolean {
  const { cause } = error as { readonly cause?: { readonly code?: unknown } };
  return error instanceof ScannerFailure && error.reason === "timeout" && cause?.code === "DEADLINE_EXCEEDED";
}
