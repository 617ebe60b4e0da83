/** Addresses on which mail servers ask, and their connections. */
import { existsSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { listenOn, PosternError, systemClock, type Clock, type Conversations } from "@postern/core";
import type { ListenAddress } from "./address.ts";
import { MilterConnection } from "./milter-connection.ts";
import { MilterSession } from "./milter-session.ts";

export interface MilterServerOptions {
  readonly conversations: Conversations;
  readonly addresses: readonly ListenAddress[];
  /** Of unix sockets. 0660. */
  readonly mode?: number;
  /** Connections in all. 1000. */
  readonly connections?: number;
  /** libmilter's 7210 s. */
  readonly idleMs?: number;
  /** 10 s: Postfix waits 300 s for the end of a message, Sendmail 300 s, some for less. */
  readonly progressMs?: number;
  readonly clock?: Clock;
  /** One safe line. Must not throw. */
  readonly warn?: (text: string) => void;
}

export interface RunningAddress {
  /** As it was asked for. */
  readonly asked: string;
  /** As it was taken: `inet:127.0.0.1:8899`, `unix:/path`. */
  readonly address: string;
}

export interface MilterServer {
  readonly listening: readonly RunningAddress[];
  /** Takes no more connections; messages under way have `graceMs` (10 s) to their end. */
  close(graceMs?: number): Promise<void>;
}

const defaultGraceMs = 10_000;
/** Lines for one matter in a minute. */
const quietMs = 60_000;

/** Throws `PosternError` LISTEN_FAILED; nothing listens then. */
export async function createMilterServer(options: MilterServerOptions): Promise<MilterServer> {
  const { conversations, addresses, mode = 0o660, connections = 1000, clock = systemClock } = options;
  const { idleMs = 7_210_000, progressMs = 10_000 } = options;
  const open = new Set<MilterConnection>();
  const servers: Server[] = [];
  const listening: RunningAddress[] = [];
  const told = new Map<string, number>();
  let onLast: (() => void) | undefined;

  const warn = (matter: string, text: string): void => {
    const last = told.get(matter);
    if (last !== undefined && clock.monotonic() - last < quietMs) return;
    told.set(matter, clock.monotonic());
    options.warn?.(text);
  };

  const greet = (socket: Socket, { text }: ListenAddress): void => {
    const from = socket.remoteAddress === undefined ? "" : ` from ${socket.remoteAddress}`;
    const refuse = (matter: string, why: string): void =>
      warn(`${matter} ${text}`, `milter ${text}: a connection${from} is closed: ${why}`);
    if (open.size >= connections) {
      refuse("connections", `more than ${connections} are open`);
      socket.destroy();
      return;
    }
    const session = new MilterSession(conversations, "milter", (why) =>
      warn(`session ${why}`, `milter ${text}: ${why}`),
    );
    open.add(
      new MilterConnection(socket, {
        clock,
        session,
        idleMs,
        progressMs,
        warn: (why) => refuse("fault", why),
        onEnd: (connection) => {
          open.delete(connection);
          if (open.size === 0) onLast?.();
        },
      }),
    );
  };

  try {
    for (const address of addresses) {
      const server = await listen(address, mode);
      servers.push(server);
      server.on("connection", (socket) => greet(socket, address));
      listening.push({ asked: address.text, address: addressOf(server, address) });
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }

  return {
    listening,
    async close(graceMs = defaultGraceMs) {
      for (const server of servers) server.close();
      for (const connection of open) connection.drain();
      if (open.size > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        onLast = resolve;
        const late = clock.setTimer(resolve, graceMs);
        await promise;
        late.cancel();
      }
      for (const connection of open) connection.destroy();
    },
  };
}

function addressOf(server: Server, asked: ListenAddress): string {
  if ("path" in asked) return `unix:${asked.path}`;
  const { address, port } = server.address() as AddressInfo;
  return address.includes(":") ? `inet:[${address}]:${port}` : `inet:${address}:${port}`;
}

async function listen(address: ListenAddress, mode: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  try {
    await listenOn(server, address, mode);
  } catch (error) {
    throw new PosternError("LISTEN_FAILED", `cannot listen on ${address.text}: ${reasonOf(error, address)}`, {
      cause: error,
    });
  }
  server.on("error", () => undefined);
  return server;
}

function reasonOf(error: unknown, address: ListenAddress): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return "it is in use";
  if (code !== "EACCES") return message;
  // The system's call says the same of a folder that is not there.
  const folder = "path" in address ? dirname(address.path) : undefined;
  return folder === undefined || existsSync(folder) ? "not permitted" : `there is no folder ${folder}`;
}
