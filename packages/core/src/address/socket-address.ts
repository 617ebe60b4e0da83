/** Where a service listens on this host or the network: `unix:path`, `tcp:host:port`, `host:port`, `[v6]:port`. */
import { resolve } from "node:path";

export type SocketAddress = { readonly path: string } | HostPort;

export interface HostPort {
  /** A name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** sun_path of Linux, without its final NUL. */
export const longestSocketPath = 107;
const hostPort = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^[\]\s:/,@]+)):(\d{1,5})$/;

/** `undefined` for what is no address. A relative path is one below `directory`. */
export function parseSocketAddress(text: string, directory = "/"): SocketAddress | undefined {
  if (text.startsWith("unix:")) {
    const path = parseSocketPath(text.slice("unix:".length), directory);
    return path === undefined ? undefined : { path };
  }
  return parseHostPort(text.startsWith("tcp:") ? text.slice("tcp:".length) : text);
}

/** `undefined` for what no socket can be called. A relative path is one below `directory`. */
export function parseSocketPath(text: string, directory: string): string | undefined {
  const path = resolve(directory, text);
  return text === "" || text.includes("\0") || Buffer.byteLength(path) > longestSocketPath ? undefined : path;
}

/** `host:port` or `[v6]:port`; `undefined` for all else, and for port 0. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, literal, name, digits] = hostPort.exec(text) ?? [];
  const host = literal ?? name;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
