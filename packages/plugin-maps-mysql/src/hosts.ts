/** `hosts`: `inet:host:port`, `host:port`, `unix:/path`; `localhost` means the default unix socket, as in MySQL's library. */
import { isIPv6 } from "node:net";

export type HostAddress =
  | { readonly kind: "unix"; readonly path: string; readonly text: string }
  | { readonly kind: "inet"; readonly host: string; readonly port: number; readonly text: string };

/** What an address leaves open. */
export interface HostDefaults {
  readonly port: number;
  readonly socket: string;
}

/** Where MySQL's library looks, distribution by distribution. */
export const defaultHost: HostDefaults = Object.freeze({ port: 3306, socket: "/run/mysqld/mysqld.sock" });

/** `undefined`: no such form. */
export function parseHost(text: string, defaults: HostDefaults): HostAddress | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice(5);
    if (path === "") return undefined;
    return { kind: "unix", path, text };
  }
  const rest = text.startsWith("inet:") ? text.slice(5) : text;
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(rest) ?? [];
  const host = bracketed ?? name ?? (isIPv6(rest) ? rest : undefined);
  if (host === undefined) return undefined;
  const port = digits === undefined ? defaults.port : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  if (host.toLowerCase() === "localhost") return { kind: "unix", path: defaults.socket, text };
  return { kind: "inet", host, port, text };
}
