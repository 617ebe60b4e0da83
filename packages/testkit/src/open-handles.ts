/** What keeps the process alive, and which sockets it opened: before, and whether they are gone after. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** What passes by itself. */
const passing =
  /^(?:Immediate|TickObject|FSReq|CloseReq|WriteWrap|ShutdownWrap|ConnectWrap|GetAddrInfo|MessagePort|TTYWrap|Worker)/;
const stepMs = 10;

export interface HandleWatch {
  /** What is still there that was not there at the beginning, when it does not go within `withinMs`. `all`: idle connections count, too. */
  left(withinMs: number, all: boolean): Promise<readonly string[]>;
  end(): void;
}

export function watchHandles(): HandleWatch {
  const before = countResources();
  const sockets = new Set<Socket>();
  const note = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  subscribe("net.client.socket", note);
  return {
    async left(withinMs, all) {
      for (let waitedMs = 0; ; waitedMs += stepMs) {
        const left = grown(before, countResources());
        if (all && sockets.size > 0) left.push(`${sockets.size} of the sockets that it opened`);
        if (left.length === 0 || waitedMs >= withinMs) return left;
        await new Promise((resolve) => setTimeout(resolve, stepMs));
      }
    },
    end: () => void unsubscribe("net.client.socket", note),
  };
}

function countResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    if (!passing.test(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function grown(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  return [...after].flatMap(([name, count]) => {
    const more = count - (before.get(name) ?? 0);
    return more > 0 ? [`${more} ${name}`] : [];
  });
}
