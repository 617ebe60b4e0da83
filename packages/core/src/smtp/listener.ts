/** A listener: an address with its own rules. Sessions that began under it go on when the generation changes. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { ConfigError, PosternError } from "../errors.ts";
import { createNetworkList } from "../address/index.ts";
import { Census } from "./census.ts";
import type { ListenerAddress, ListenerSettings, SmtpHost } from "./front.ts";
import type { Place } from "./place.ts";
import { PosternServer } from "./server.ts";

export interface SmtpListener {
  readonly settings: ListenerSettings;
  /** Rejects with `LISTEN_FAILED`. */
  listen(): Promise<ListenerAddress>;
  /** Takes no new sessions; resolves when the open ones have ended, after `graceMs` at the latest with 421. */
  close(graceMs: number): Promise<void>;
}

/** Sessions are counted over all listeners of a host. */
const censuses = new WeakMap<SmtpHost, Census>();
const servers = new WeakMap<SmtpListener, PosternServer>();

/** Throws `ConfigError` for networks that are none, and for implicit TLS without a key. `assumed` is for sessions in process. */
export function createSmtpListener(
  settings: ListenerSettings,
  host: SmtpHost,
  assumed: Place["assumed"] = {},
): SmtpListener {
  const generation = host.acquire();
  const { tls } = generation.settings;
  generation.release();
  if (settings.tls === "implicit" && tls === undefined) {
    throw new ConfigError(`listener ${settings.name}: implicit TLS needs tls.key and tls.cert`);
  }
  if (settings.tls === "required" && tls === undefined) {
    throw new ConfigError(`listener ${settings.name}: required TLS needs tls.key and tls.cert`);
  }
  let census = censuses.get(host);
  if (census === undefined) censuses.set(host, (census = new Census()));
  const server = new PosternServer({
    host,
    place: {
      settings,
      xclient: createNetworkList(settings.xclient),
      assumed,
      tlsAvailable: tls !== undefined && (settings.tls === "starttls" || settings.tls === "required"),
    },
    proxy: createNetworkList(settings.proxy),
    census,
    tls,
  });
  const listener: SmtpListener = {
    settings,
    listen: () => listen(server, settings),
    async close(graceMs) {
      const { server: socketServer } = server;
      const closed = socketServer.listening
        ? new Promise<void>((resolve) => socketServer.close(() => resolve()))
        : Promise.resolve();
      await server.shutDown(graceMs);
      await closed;
    },
  };
  servers.set(listener, server);
  return listener;
}

async function listen(server: PosternServer, { host, port, name }: ListenerSettings): Promise<ListenerAddress> {
  const { server: socketServer } = server;
  socketServer.listen({ host, port });
  try {
    await once(socketServer, "listening");
  } catch (error) {
    const message = `listener ${name} cannot take ${host}:${port}: ${reasonOf(error)}`;
    throw new PosternError("LISTEN_FAILED", message, { cause: error });
  }
  const address = socketServer.address() as AddressInfo;
  return { host: address.address, port: address.port };
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return "the port is in use";
  if (code === "EACCES") return "not permitted";
  return code === "EADDRNOTAVAIL" ? "the address is not of this host" : message;
}

/** For `connectInProcess`: the server behind a listener. */
export function serverOf(listener: SmtpListener): PosternServer {
  const server = servers.get(listener);
  if (server === undefined) throw new TypeError("not a listener of createSmtpListener");
  return server;
}
