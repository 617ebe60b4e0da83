/** Where mail servers find us, as they write it themselves: `inet:8899@127.0.0.1` (Sendmail), `inet:127.0.0.1:8899` (Postfix), `unix:/path`. */
import { resolve } from "node:path";

export type ListenAddress =
  | { readonly path: string; readonly text: string }
  | { readonly host: string; readonly port: number; readonly text: string };

export const expectedAddress = '"inet:8899@127.0.0.1", "inet:127.0.0.1:8899", "inet6:8899@::1" or "unix:/path"';

const portFirst = /^inet6?:(\d{1,5})(?:@\[?([^\s@[\]]+)\]?)?$/;
const hostFirst = /^inet6?:(?:\[([0-9A-Fa-f:.%]+)\]|([^\s@[\]:]+)):(\d{1,5})$/;
/** sun_path holds 107 octets and a NUL. */
const longestPath = 107;

/** `undefined` for what is none. A port alone is on loopback; 0 takes a free one. Relative paths are below `directory`. */
export function parseListenAddress(text: string, directory: string): ListenAddress | undefined {
  const path = /^(?:unix|local):(.+)$/s.exec(text)?.[1];
  if (path !== undefined) {
    const full = resolve(directory, path);
    return path.includes("\0") || Buffer.byteLength(full) > longestPath ? undefined : { path: full, text };
  }
  const [, first, behind] = portFirst.exec(text) ?? [];
  const [, literal, name, last] = first === undefined ? (hostFirst.exec(text) ?? []) : [];
  const host = first === undefined ? (literal ?? name) : (behind ?? (text.startsWith("inet6:") ? "::1" : "127.0.0.1"));
  const port = Number(first ?? last);
  return host === undefined || !(port >= 0 && port <= 65_535) ? undefined : { host, port, text };
}
