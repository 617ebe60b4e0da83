/** Where spamd listens: `unix:/run/spamd.sock`, `tcp:host:port`, `host:port` or `[2001:db8::1]:port`. */
import { isAbsolute, join } from "node:path";

export interface Endpoint {
  /** As in the config, for the log. */
  readonly label: string;
  readonly target: { readonly path: string } | { readonly host: string; readonly port: number };
}

/** `undefined` for what is no address. A relative socket path is one below `directory`. */
export function parseAddress(text: string, directory = "/"): Endpoint | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "" || path.includes("\0")) return undefined;
    return { label: text, target: { path: isAbsolute(path) ? path : join(directory, path) } };
  }
  const match = /^(?:tcp:)?(?:\[([0-9a-fA-F:.]+)\]|([^[\]\s:/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { label: text, target: { host, port } };
}
