/** Where mail servers find us, as they write it themselves: `inet:8899@127.0.0.1` (Sendmail), `inet:127.0.0.1:8899` (Postfix), `unix:/path`. */
import { parseSocketPath, type SocketAddress } from "@postern/core";

export type ListenAddress = SocketAddress & { readonly text: string };

export const expectedAddress = '"inet:8899@127.0.0.1", "inet:127.0.0.1:8899", "inet6:8899@::1" or "unix:/path"';

const portFirst = /^inet6?:(\d{1,5})(?:@\[?([^\s@[\]]+)\]?)?$/;
const hostFirst = /^inet6?:(?:\[([0-9A-Fa-f:.%]+)\]|([^\s@[\]:]+)):(\d{1,5})$/;

/** `undefined` for what is none. A port alone is on loopback; 0 takes a free one. Relative paths are below `directory`. */
export function parseListenAddress(text: string, directory: string): ListenAddress | undefined {
  const local = /^(?:unix|local):(.+)$/s.exec(text)?.[1];
  if (local !== undefined) {
    const path = parseSocketPath(local, directory);
    return path === undefined ? undefined : { path, text };
  }
  const [, first, behind] = portFirst.exec(text) ?? [];
  const [, literal, name, last] = first === undefined ? (hostFirst.exec(text) ?? []) : [];
  const host = first === undefined ? (literal ?? name) : (behind ?? (text.startsWith("inet6:") ? "::1" : "127.0.0.1"));
  const port = Number(first ?? last);
  return host === undefined || !(port >= 0 && port <= 65_535) ? undefined : { host, port, text };
}
