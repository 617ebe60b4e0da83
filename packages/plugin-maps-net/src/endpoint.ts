/** Where a server listens: `host:port`, `[2001:db8::1]:port`, the same behind `inet:`, or `unix:/path`. */
import { resolve } from "node:path";
import { ConfigError } from "@postern/core";

export type Endpoint =
  | { readonly path: string; readonly text: string }
  | { readonly host: string; readonly port: number; readonly text: string };

export interface EndpointRules {
  /** "tcp:127.0.0.1:2527", for the error. */
  readonly label: string;
  /** A relative socket path is one below it. */
  readonly directory: string;
  /** For `host` alone; without it a port is required. */
  readonly defaultPort?: number;
}

const inetForm = /^(?:\[([0-9a-fA-F:.%]+)\]|([^[\]\s:/]*))(?::([^:]*))?$/;
/** sun_path holds 107 bytes and a NUL. */
const longestPath = 107;

/** Throws `ConfigError` for what is no address. An empty host is the local one. */
function parseEndpoint(text: string, { label, directory, defaultPort }: EndpointRules): Endpoint {
  if (text.startsWith("unix:")) return unixEndpoint(text, resolve(directory, text.slice("unix:".length)), label);
  const bare = text.startsWith("inet:") ? text.slice("inet:".length) : text;
  const [, address, name, service] = inetForm.exec(bare) ?? [];
  const host = address ?? name;
  if (host === undefined) throw new ConfigError(`table ${label}: "${text}" is no host:port and no unix:/path`);
  if (service === undefined && defaultPort === undefined) {
    throw new ConfigError(`table ${label}: "${text}" needs a port: host:port`);
  }
  const port = service === undefined ? Number(defaultPort) : Number(/^\d{1,5}$/.exec(service)?.[0]);
  if (!(port >= 1 && port <= 65_535)) {
    throw new ConfigError(`table ${label}: "${service}" is no port; write a number from 1 to 65535`);
  }
  return { host: host === "" ? "localhost" : host, port, text };
}

function unixEndpoint(text: string, path: string, label: string): Endpoint {
  if (text === "unix:" || path.includes("\0") || Buffer.byteLength(path) > longestPath) {
    throw new ConfigError(`table ${label}: "${text}" is no path of a socket (at most ${longestPath} bytes)`);
  }
  return { path, text };
}

/** Several, the first preferred. Throws `ConfigError` when there is none. */
export function parseEndpoints(texts: readonly string[], rules: EndpointRules): readonly Endpoint[] {
  if (texts.length === 0) throw new ConfigError(`table ${rules.label}: no server is named`);
  return texts.map((text) => parseEndpoint(text, rules));
}
