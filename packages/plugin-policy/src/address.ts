/** Where a policy service listens, as Postfix writes it: `inet:host:port`, `unix:path`. */
import { resolve } from "node:path";

export type Address =
  | { readonly path: string; readonly text: string }
  | { readonly host: string; readonly port: number; readonly text: string };

export const expectedAddress = '"inet:127.0.0.1:10023", "inet:[::1]:10023" or "unix:./policy.sock"';

const inetForm = /^inet:(?:\[([0-9a-fA-F:.%]+)\]|([^[\]\s:/,]+)):(\d{1,5})$/;
/** sun_path holds 107 bytes and a NUL. */
const longestPath = 107;

/** `undefined` for what is no address. A relative path is one below `directory`, absolute. */
export function parseAddress(text: string, directory: string): Address | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    const full = resolve(directory, path);
    return path === "" || path.includes("\0") || Buffer.byteLength(full) > longestPath
      ? undefined
      : { path: full, text };
  }
  const [, literal, name, digits] = inetForm.exec(text) ?? [];
  const host = literal ?? name;
  const port = Number(digits);
  return host === undefined || !(port >= 1 && port <= 65_535) ? undefined : { host, port, text };
}

/** What is an address and not the name of a service. */
export function isAddress(text: string): boolean {
  return text.startsWith("inet:") || text.startsWith("unix:");
}
