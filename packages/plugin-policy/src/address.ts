/** Where a policy service listens, as Postfix writes it: `inet:host:port`, `unix:path`. */
import { parseHostPort, parseSocketPath, type SocketAddress } from "@postern/core";

export type Address = SocketAddress & { readonly text: string };

export const expectedAddress = '"inet:127.0.0.1:10023", "inet:[::1]:10023" or "unix:./policy.sock"';

/** `undefined` for what is no address. A relative path is one below `directory`, absolute. */
export function parseAddress(text: string, directory: string): Address | undefined {
  if (text.startsWith("unix:")) {
    const path = parseSocketPath(text.slice("unix:".length), directory);
    return path === undefined ? undefined : { path, text };
  }
  const target = text.startsWith("inet:") ? parseHostPort(text.slice("inet:".length)) : undefined;
  return target === undefined ? undefined : { ...target, text };
}

/** What is an address and not the name of a service. */
export function isAddress(text: string): boolean {
  return text.startsWith("inet:") || text.startsWith("unix:");
}
