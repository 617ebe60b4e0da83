/** The daemon that the engine asks, on a port of its own: real sockets, and whatever may go wrong with them. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";

/** Answers, or the absence of one. */
export type Mood = "well" | "silent" | "rubbish" | "hangs up";

export interface Daemon {
  readonly address: string;
  mood: Mood;
  stop(): Promise<void>;
}

export async function startDaemon(known: ReadonlyMap<string, string>): Promise<Daemon> {
  const sockets = new Set<Socket>();
  const answer = (socket: Socket, fingerprint: string): void => {
    if (daemon.mood === "silent") return;
    const name = known.get(fingerprint);
    const line = daemon.mood === "rubbish" ? "200 OK" : name === undefined ? "UNKNOWN" : `KNOWN ${name}`;
    socket.end(daemon.mood === "hangs up" ? "" : `${line}\n`);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined);
    createInterface({ input: socket })
      .on("line", (line) => answer(socket, line))
      .on("error", () => undefined);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const daemon: Daemon = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: "well",
    async stop() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server.close(), "close");
    },
  };
  return daemon;
}
